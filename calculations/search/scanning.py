"""The text of a search in pieces, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from calculations.search.words import SIGNS

PIECE = re.compile(
    r"""(?P<space>[\s()\[\]{};]+)
    |["“”„](?P<quoted>[^"“”„]*)["“”]?
    |(?P<sign>>=|<=|=>|=<|==|[<>=:≥≤≈~])
    |(?P<range>\.\.+|…)
    |(?P<comma>,)
    |(?P<word>(?:(?!\.\.)[^\s"“”„<>=:≥≤≈~,;()\[\]{}…])+)
    """,
    re.VERBOSE,
)
NUMBER = re.compile(r"[-+−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+−]?\d+)?")


@dataclass(frozen=True, slots=True)
class Piece:
    """`kind`: word, quoted, sign, range, comma, minus; `glued`: no space before it."""

    kind: str
    text: str
    start: int
    glued: bool

    @property
    def lower(self) -> str:
        return self.text.lower()


def scan(text: str) -> list[Piece]:
    """Cut the text; whatever it is, it can be cut."""
    pieces: list[Piece] = []
    glued = False
    for found in PIECE.finditer(text):
        kind = found.lastgroup or "space"
        if kind == "space":
            glued = False
            continue
        said = found[kind]
        start = found.start()
        if kind == "sign":
            said = SIGNS.get(said, said)
        if kind == "word" and said[0] in "-−" and not NUMBER.match(said):
            if len(said) == 1 and text[found.end() : found.end() + 1] not in ('"', "“", "„"):
                continue  # a dash
            pieces.append(Piece("minus", "-", start, glued))
            said, start, glued = said[1:], start + 1, True
        if kind == "word":
            said = said.rstrip(".?!") or said
        if said or kind == "quoted":
            pieces.append(Piece(kind, said, start, glued))
        glued = True
    return pieces
