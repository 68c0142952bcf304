"""The input of Quantum ESPRESSO: namelists and cards, a reader with line numbers and a writer.

Keys compare without case; `!` begins a comment, in cards `#` too. A key that stands twice is
refused: Fortran would take the last of them, and nobody would notice.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Union

Value = Union[str, bool, int, float]

CARDS = (
    "ATOMIC_SPECIES",
    "ATOMIC_POSITIONS",
    "K_POINTS",
    "ADDITIONAL_K_POINTS",
    "CELL_PARAMETERS",
    "CONSTRAINTS",
    "OCCUPATIONS",
    "ATOMIC_VELOCITIES",
    "ATOMIC_FORCES",
    "SOLVENTS",
    "HUBBARD",
)
KEY = re.compile(r"[A-Za-z_]\w*(?:\(\s*\d+(?:\s*,\s*\d+)*\s*\))?", re.ASCII)
TOKEN = re.compile(
    r"(?P<text>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")"
    r"|(?P<quote>['\"])"
    r"|(?P<sign>[=,/])"
    r"|(?P<word>[A-Za-z_]\w*\([^()=/'\"]*\)|[^\s,=/'\"]+)"
)
INTEGER = re.compile(r"[-+]?\d{1,15}", re.ASCII)
REAL = re.compile(r"[-+]?(?:\d{1,40}\.?\d{0,40}|\.\d{1,40})(?:[EeDd][-+]?\d{1,4})?", re.ASCII)
LOGICALS = {"true": True, "t": True, "false": False, "f": False}


class NamelistError(ValueError):
    """Text that is no input, or content that one cannot hold; `line` is 0 where there is none."""

    def __init__(self, line: int, text: str) -> None:
        self.line = line
        self.text = text
        super().__init__(f"line {line}: {text}" if line else text)


def normalise(key: str) -> str:
    """Return the form in which keys compare: celldm( 1 ) is celldm(1)."""
    return re.sub(r"\s+", "", key).lower()


@dataclass(frozen=True)
class Setting:
    """One `key = value`; the index of `celldm(1)` belongs to the key."""

    key: str
    value: Value
    line: int = field(default=0, compare=False)

    @property
    def name(self) -> str:
        """The key without its index."""
        return self.key.partition("(")[0]


@dataclass(frozen=True)
class Namelist:
    name: str
    settings: tuple[Setting, ...] = ()
    line: int = field(default=0, compare=False)

    def get(self, key: str) -> Value | None:
        wanted = normalise(key)
        return next((s.value for s in self.settings if s.key == wanted), None)


@dataclass(frozen=True)
class Card:
    """A card with its option (`angstrom`) and rows; `notes` are the comments behind the rows."""

    name: str
    option: str = ""
    rows: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Document:
    namelists: tuple[Namelist, ...] = ()
    cards: tuple[Card, ...] = ()

    def get(self, namelist: str, key: str) -> Value | None:
        found = next((n for n in self.namelists if n.name == namelist.upper()), None)
        return found.get(key) if found else None

    def card(self, name: str) -> Card | None:
        return next((card for card in self.cards if card.name == name.upper()), None)


def _split_comment(line: str, signs: str) -> tuple[str, str]:
    """Return the line without its comment, and the comment; quotes protect the signs."""
    quote = ""
    for position, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"" and sign in line[position + 1 :]:
            quote = sign
        elif sign in signs:
            return line[:position].strip(), line[position + 1 :].strip()
    return line.strip(), ""


def read(text: str) -> Document:
    """Read a whole input, or a part of one. Raises NamelistError with the number of the line."""
    namelists: list[Namelist] = []
    cards: list[Card] = []
    numbered = enumerate(re.split(r"\r\n|\n|\r", text), start=1)
    for number, raw in numbered:
        code, note = _split_comment(raw, "!#" if cards else "!")
        if not code:
            continue
        if code.startswith("&"):
            found = _namelist(code, number, numbered)
            _once(found, namelists)
            namelists.append(found)
        elif code.split(None, 1)[0].partition("(")[0].partition("{")[0].upper() in CARDS:
            card = _card_head(code, number)
            _once(card, cards)
            cards.append(card)
        elif cards:
            cards[-1] = _with_row(cards[-1], code, note)
        else:
            raise NamelistError(
                number,
                f"{code[:40]!r} belongs to nothing: begin with &SYSTEM, say, or with a card",
            )
    return Document(tuple(namelists), tuple(cards))


def _once(found: Namelist | Card, known: Iterable[Namelist | Card]) -> None:
    for other in known:
        if other.name == found.name:
            raise NamelistError(
                found.line, f"{found.name} stands already in line {other.line}; keep one of them"
            )


def _namelist(code: str, number: int, following: Iterator[tuple[int, str]]) -> Namelist:
    """Read from the line that opens a namelist to the `/` that closes it."""
    head = re.match(r"&\s*([A-Za-z]\w*)", code, re.ASCII)
    if head is None:
        raise NamelistError(number, "& must be followed by the name of a namelist, such as &SYSTEM")
    name, began = head.group(1).upper(), number
    reader = _Settings()
    rest = code[head.end() :]
    while True:
        if reader.feed(rest, number):
            return Namelist(name, tuple(reader.settings), began)
        number, raw = next(following, (0, ""))
        if not number or raw.lstrip().startswith("&"):
            reason = f"namelist &{name} is never closed; end it with a line that holds / alone"
            raise NamelistError(began, reason)
        rest, _ = _split_comment(raw, "!")


class _Settings:
    """Collects `key = value` over the lines of one namelist."""

    def __init__(self) -> None:
        self.settings: list[Setting] = []
        self._key = ""
        self._equals = False
        self._seen: dict[str, int] = {}

    def feed(self, code: str, line: int) -> bool:
        """Take a line; True where the namelist ends in it."""
        for token in TOKEN.finditer(code):
            if token.lastgroup == "quote":
                raise NamelistError(line, "a quote is never closed")
            word = token.group()
            if token.lastgroup == "sign":
                if self._sign(word, line):
                    after = code[token.end() :].strip()
                    if after:
                        raise NamelistError(line, f"nothing may follow /, but {after[:40]!r} does")
                    return True
            elif self._equals:
                self._take(_value(word, token.lastgroup == "text", line), line)
            elif self._key:
                raise NamelistError(line, f"= is missing after {self._key}")
            else:
                self._begin(word, token.lastgroup == "text", line)
        return False

    def _sign(self, sign: str, line: int) -> bool:
        if sign == "=" and self._key and not self._equals:
            self._equals = True
        elif sign == "=":
            raise NamelistError(line, "= needs a keyword before it")
        elif self._key:
            raise NamelistError(line, f"{self._key} has no value")
        return sign == "/"

    def _begin(self, word: str, is_text: bool, line: int) -> None:
        if is_text or KEY.fullmatch(word) is None:
            raise NamelistError(
                line, f"{word[:40]!r} is no keyword; write each as keyword = value, text in quotes"
            )
        self._key = normalise(word)
        if self._key in self._seen:
            raise NamelistError(
                line, f"{self._key} stands already in line {self._seen[self._key]}; keep one"
            )
        self._seen[self._key] = line

    def _take(self, value: Value, line: int) -> None:
        self.settings.append(Setting(self._key, value, self._seen[self._key] or line))
        self._key, self._equals = "", False


def _value(word: str, is_text: bool, line: int) -> Value:
    if is_text:
        return word[1:-1].replace(word[0] * 2, word[0])
    logical = LOGICALS.get(word.strip(".").lower())
    if logical is not None:
        return logical
    if INTEGER.fullmatch(word):
        return int(word)
    if REAL.fullmatch(word):
        value = float(re.sub("[dD]", "e", word))
        if math.isfinite(value):
            return value
    raise NamelistError(
        line, f"{word[:40]!r} is neither a number nor .true. or .false.; text needs quotes"
    )


def _card_head(code: str, number: int) -> Card:
    name = re.match(r"\w+", code)
    word = name.group() if name else code
    option = code[len(word) :].strip(" \t(){}").lower()
    if option and re.fullmatch(r"[\w.= -]{1,40}", option) is None:
        raise NamelistError(number, f"{option[:40]!r} is no option of {word.upper()}")
    return Card(word.upper(), option, line=number)


def _with_row(card: Card, code: str, note: str) -> Card:
    return Card(card.name, card.option, (*card.rows, code), (*card.notes, note), card.line)


def write(document: Document) -> str:
    """Write text that reads back the same. Raises NamelistError where it would not."""
    lines: list[str] = []
    for namelist in document.namelists:
        settings = [f"  {s.key} = {literal(s.value)}" for s in namelist.settings]
        lines += [f"&{namelist.name}", *settings, "/"]
    for card in document.cards:
        lines.append(f"{card.name} {card.option}".rstrip())
        notes = card.notes or ("",) * len(card.rows)
        rows = zip(card.rows, notes)
        lines += [f"  {row}" + (f"  ! {note}" if note else "") for row, note in rows]
    text = "".join(f"{line}\n" for line in lines)
    try:
        back = read(text)
    except NamelistError as error:
        raise NamelistError(0, f"the content cannot be written: {error}") from None
    if _plain(back) != _plain(document):
        raise NamelistError(0, "the content would not be read back the same")
    return text


def _plain(document: Document) -> tuple[object, ...]:
    """What is said, with types: 1, 1.0 and .true. are not the same to Fortran."""
    namelists = tuple(
        (n.name, tuple((s.key, type(s.value), s.value) for s in n.settings))
        for n in document.namelists
    )
    cards = tuple(
        (c.name, c.option, c.rows, c.notes or ("",) * len(c.rows)) for c in document.cards
    )
    return namelists, cards


def literal(value: Value) -> str:
    """Return a value as Fortran reads it."""
    if isinstance(value, bool):
        return ".true." if value else ".false."
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
