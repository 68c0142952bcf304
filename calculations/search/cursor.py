"""Where the reading of a search stands, and how it is refused: with the place and the remedy."""

from __future__ import annotations

from typing import NoReturn

from calculations.search.query import Condition, Field
from calculations.search.scanning import Piece, scan
from labportal.common.errors import InvalidInput


class Cursor:
    def __init__(self, text: str) -> None:
        self.text = text
        self.pieces = scan(text)
        self.at = 0

    def peek(self, ahead: int = 0) -> Piece | None:
        place = self.at + ahead
        return self.pieces[place] if place < len(self.pieces) else None

    def word(self, ahead: int = 0) -> str:
        """The word there in small letters; "" where there is none."""
        piece = self.peek(ahead)
        return piece.lower if piece is not None and piece.kind == "word" else ""

    def kind(self, ahead: int = 0) -> str:
        piece = self.peek(ahead)
        return piece.kind if piece is not None else ""

    def words(self, count: int, ahead: int = 0) -> tuple[str, ...]:
        return tuple(self.word(ahead + i) for i in range(count))

    def take(self, count: int = 1) -> Piece:
        piece = self.pieces[self.at]
        self.at += count
        return piece

    def fail(self, message: str, ahead: int = 0) -> NoReturn:
        """Raises InvalidInput for the piece there."""
        piece = self.peek(min(ahead, len(self.pieces) - 1 - self.at))
        start = piece.start if piece else len(self.text)
        raw = self.text[start : start + len(piece.text)][:40] if piece else ""
        about = f"At “{raw}”" if raw else "At the end"
        raise InvalidInput(f"{about} (character {start + 1}): {message}", field="q", code="search")


def quoted(value: str) -> str:
    """A value as it is typed: in quotation marks where it is more than a plain word."""
    if len(value) > 2 and value[0] == value[-1] == '"':
        return value
    plain = value and not any(c.isspace() or c in "<>=:,()[]{};≥≤≈~…" for c in value)
    return value if plain and ".." not in value and value[0] not in "-−" else f'"{value}"'


def listed(field: Field, values: tuple[str, ...], words: str, *, name: str = "") -> Condition:
    """A condition of alternatives: state:valid,failed."""
    said = ",".join(quoted(value) for value in dict.fromkeys(values))
    return Condition(field, f"{name or field.value}:{said}", words, tuple(dict.fromkeys(values)))
