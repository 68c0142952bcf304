"""Conditions on quantities and counts: gap>5 eV, a gap above 5 eV, gap 1..3 eV, has:gap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from calculations.findings.catalogue import Kind, catalogue
from calculations.search.cursor import Cursor
from calculations.search.query import Condition, Field, Measured, Span
from calculations.search.scanning import NUMBER
from calculations.search.words import (
    ALIASES,
    COMPARISONS,
    COUNTS,
    FIELDS,
    IDLE,
    NOT,
    STATES,
    UNITS,
)
from calculations.units import factor, is_unit
from labportal.accounts.models import User

LONGEST_NAME = 5  # words
BETWEEN = {"between": ("and", "to"), "from": ("to", "and")}
LINKS = frozenset({"is", "of", "are", "was", "being", "a", "value"})
SHOWN_SIGNS = {">=": "≥", "<=": "≤", "=": "≈"}
UNIT_MARKS = frozenset("/·^²³⁻*%°µ")


class Known:
    """The quantities that a person may see; read when the first one is asked for."""

    def __init__(self, user: User | None) -> None:
        self._user = user
        self._kinds: Mapping[str, Kind] | None = None
        self.unseen = user is None  # then any name may be one

    @property
    def kinds(self) -> Mapping[str, Kind]:
        if self._kinds is None:
            self._kinds = catalogue(self._user) if self._user is not None else {}
        return self._kinds

    def names_of(self, phrase: Sequence[str]) -> tuple[str, ...]:
        """Return the stored names that a phrase means; () where it means none or several."""
        said = " ".join(phrase)
        alias = ALIASES.get(said.replace("_", " ")) or ALIASES.get(said)
        if alias:
            return tuple(name for name in alias if name in self.kinds) or alias
        name = "_".join(phrase)
        if name in self.kinds:
            return (name,)
        labelled = tuple(k.name for k in self.kinds.values() if k.label.lower() == said)
        if labelled:
            return labelled
        found = self.like(phrase)
        return tuple(found) if len(found) == 1 and len(said) > 2 else ()

    def like(self, phrase: Sequence[str]) -> list[str]:
        """Names of those whose label holds all the words."""
        wanted = set(" ".join(phrase).replace("_", " ").split())
        return [
            kind.name
            for kind in self.kinds.values()
            if wanted <= set(kind.label.lower().replace(",", " ").split())
        ]

    def measured(self, names: tuple[str, ...], unit: str) -> Measured | None:
        """None where the unit measures something else."""
        kinds = [self.kinds[name] for name in names if name in self.kinds]
        stored = {known for kind in kinds for known in kind.units}
        label = kinds[0].label if kinds else names[0].replace("_", " ")
        if not kinds:
            usual = UNITS.get(names[0])
            if unit and usual and factor(usual, unit) is None:
                return None
            unit = unit or usual or ""
            return Measured(names, label, unit, ((unit, 1.0),))
        unit = unit or kinds[0].unit
        factors = [(known, by) for known in sorted(stored) if (by := factor(known, unit))]
        return Measured(names, label, unit, tuple(factors)) if factors else None


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was typed, and the unit that stood glued to it."""

    value: float
    text: str
    unit: str = ""
    high: str = ""  # the end of a range that was typed in one piece: 1-3


def read(cursor: Cursor, known: Known) -> Condition | None:
    """Read a condition on a quantity or a count that begins here; None where none does."""
    if cursor.word() == "has" and cursor.kind(1) == "sign":
        return _has(cursor, known)
    for length in range(min(LONGEST_NAME, _words_ahead(cursor)), 0, -1):
        sign, behind = _comparison(cursor, length)
        if not sign:
            continue
        phrase = cursor.words(length)
        field = FIELDS.get(phrase[0]) if length == 1 else None
        if field in COUNTS and field is not None:
            return _count(cursor, field, sign, behind)
        names = known.names_of(phrase)
        if known.unseen and length == 1 and cursor.kind(1) == "sign" and phrase[0].isidentifier():
            names = names or phrase
        if names:
            return _bounded(cursor, known, names, length, sign, behind)
    if cursor.kind(1) == "sign":
        _refuse(cursor, known)
    return None


def _words_ahead(cursor: Cursor) -> int:
    if FIELDS.get(cursor.word()) in COUNTS:
        return 1
    count = 0
    while count < LONGEST_NAME and cursor.word(count) and cursor.word(count) not in IDLE:
        count += 1
    return count


def _comparison(cursor: Cursor, ahead: int) -> tuple[str, int]:
    """The sign behind the name, and where its number begins; ("", 0) where there is none."""
    if cursor.kind(ahead) == "sign":
        piece = cursor.peek(ahead)
        return (piece.text if piece else ""), ahead + 1
    for _ in range(2):
        ahead += cursor.word(ahead) in LINKS
    if cursor.word(ahead) in BETWEEN and _is_number(cursor, ahead + 1):
        return "..", ahead + 1
    for length in range(5, 0, -1):
        sign = COMPARISONS.get(cursor.words(length, ahead))
        if sign and _is_number(cursor, ahead + length):
            return sign, ahead + length
    return ("=", ahead) if _is_number(cursor, ahead) else ("", 0)


def _is_number(cursor: Cursor, ahead: int) -> bool:
    found = NUMBER.match(cursor.word(ahead))
    if found is None:
        return False
    rest = cursor.word(ahead)[found.end() :]
    return not rest or not rest[0].isalnum() or is_unit(_original(cursor, ahead)[found.end() :])


def _original(cursor: Cursor, ahead: int) -> str:
    piece = cursor.peek(ahead)
    return piece.text if piece else ""


def _refuse(cursor: Cursor, known: Known) -> None:
    name = cursor.word()
    several = known.like([name])[:6]
    if len(several) > 1:
        cursor.fail(f"“{name}” may be {', '.join(several)}; write one of them.")
    labels = {**dict.fromkeys(FIELDS), **dict.fromkeys(ALIASES), **dict.fromkeys(known.kinds)}
    near = get_close_matches(name, labels, n=3)
    if near:
        cursor.fail(f"there is no “{name}”; did you mean {' or '.join(near)}?")
    some = [kind for kind in known.kinds.values() if kind.numeric][:5]
    examples = ", ".join(kind.name for kind in some) or "gap, energy, dipole"
    cursor.fail(
        f"“{name}” is no field and no quantity of the results that you may see; quantities are "
        f"{examples} and so on. Put it in quotation marks to search for the text."
    )


def _has(cursor: Cursor, known: Known) -> Condition:
    cursor.take(2)
    for length in range(min(LONGEST_NAME, max(1, _words_ahead(cursor))), 0, -1):
        names = known.names_of(cursor.words(length)) if cursor.word() else ()
        if names:
            key = _key(cursor.words(length), names)
            cursor.take(length)
            measured = known.measured(names, "")
            label = measured.label if measured else key
            words = f"has a result “{label}”"
            return Condition(Field.QUANTITY, f"has:{key}", words, measured=measured)
    cursor.fail("name a quantity after it, as in has:gap.")


def _key(phrase: Sequence[str], names: tuple[str, ...]) -> str:
    """How the quantity is typed: as it was, where that is one word."""
    return phrase[0] if len(phrase) == 1 else names[0]


def _bounded(
    cursor: Cursor, known: Known, names: tuple[str, ...], length: int, sign: str, behind: int
) -> Condition:
    key = _key(cursor.words(length), names)
    worded = cursor.word(behind)
    if not _is_number(cursor, behind):
        if worded and sign == "=":
            return _worded(cursor, known, names, key, behind)
        cursor.fail(f"a number must follow, as in {key}{sign if sign != '..' else '>'}5.", behind)
    cursor.take(behind)
    low, high, unit = _numbers(cursor, sign, known, names)
    stored_units = [u for n in names if n in known.kinds for u in known.kinds[n].units]
    if unit and unit not in stored_units and not is_unit(unit):
        cursor.at -= 1
        cursor.fail(f"“{unit[:30]}” is no known unit.")
    measured = known.measured(names, unit)
    if measured is None:
        kinds = [known.kinds[name] for name in names if name in known.kinds]
        usual = kinds[0].unit if kinds else UNITS.get(names[0], "")
        stored = f"is stored in {usual}" if usual else "has no unit"
        cursor.at -= 1
        cursor.fail(
            f"{key} {stored}, and {unit} is something else. "
            f"{f'Write {usual} or a unit that it converts to.' if usual else 'Leave it out.'}"
        )
    span = _span(cursor, sign, low, high)
    said = f"{low.text}..{high.text}" if high else f"{sign}{low.text}"
    joint = " " if high and not (known.unseen and key not in ALIASES) else "=" if high else ""
    typed = f"{key}{joint}{said}{f' {measured.unit}' if measured.unit else ''}"
    between = f"{low.text} … {high.text}" if high else f"{SHOWN_SIGNS.get(sign, sign)} {low.text}"
    words = f"{measured.label} {between} {measured.unit}".rstrip()
    return Condition(Field.QUANTITY, typed, words, span=span, measured=measured)


def _worded(
    cursor: Cursor, known: Known, names: tuple[str, ...], key: str, behind: int
) -> Condition:
    """A quantity that is a word or a truth value: band_gap_direct=yes."""
    value = _original(cursor, behind)
    cursor.take(behind + 1)
    measured = known.measured(names, "") or Measured(names, key, "", ())
    words = f"{measured.label} is {value}"
    return Condition(Field.QUANTITY, f"{key}={value}", words, values=(value,), measured=measured)


def _numbers(
    cursor: Cursor, sign: str, known: Known, names: tuple[str, ...]
) -> tuple[Number, Number | None, str]:
    """Read the number or the range here with the unit behind it."""
    low, high = _number(cursor), None
    unit = low.unit or _unit(cursor, known, names)
    is_range = cursor.kind() == "range" or low.high
    if low.high:
        high = Number(float(low.high), low.high)
        unit = low.unit or _unit(cursor, known, names)
    elif is_range or (sign == ".." and cursor.word() in ("and", "to")):
        cursor.take()
        if not _is_number(cursor, 0):
            cursor.fail("a number must end the range, as in 1..3 eV.")
        high = _number(cursor)
        unit = high.unit or _unit(cursor, known, names) or unit
    elif sign == "..":
        cursor.at -= 1
        cursor.fail("a second number must follow, as in between 1 and 3 eV.")
    if high and sign not in ("..", "="):
        cursor.at -= 1
        cursor.fail("a range needs no < or >; write 1..3 eV.")
    return low, high, unit


def _number(cursor: Cursor) -> Number:
    text = cursor.take().text
    found = NUMBER.match(text)
    said = found[0].replace("−", "-") if found else "nan"
    rest = text[found.end() :] if found else ""
    value = float(said)
    if not math.isfinite(value):
        cursor.at -= 1
        cursor.fail("this number is too large.")
    end = NUMBER.match(rest.lstrip("-–−")) if rest[:1] in ("-", "–", "−") else None
    if end:
        tail = rest.lstrip("-–−")
        return Number(value, said, tail[end.end() :], end[0])
    return Number(value, said, rest)


def _unit(cursor: Cursor, known: Known, names: tuple[str, ...]) -> str:
    """The unit that stands here as a word of its own, if one does."""
    piece = cursor.peek()
    if piece is None or piece.kind != "word":
        return ""
    word, stored = piece.text, [u for n in names if n in known.kinds for u in known.kinds[n].units]
    if word in stored:
        return cursor.take().text
    if piece.lower in IDLE | NOT or piece.lower in FIELDS or piece.lower in STATES:
        return ""
    if cursor.kind(1) == "sign":
        return ""
    if is_unit(word):
        return cursor.take().text
    if UNIT_MARKS & set(word) and not word[0].isdigit():
        cursor.fail(f"“{word}” is no known unit.")
    return ""


def _span(cursor: Cursor, sign: str, low: Number, high: Number | None) -> Span:
    if high:
        first, last = sorted((low.value, high.value))
        return Span(first, last)
    value = low.value
    if sign == "=":
        half = _last_digit(low.text) / 2
        return Span(value - half, value + half)
    if sign[0] == ">":
        return Span(low=value, low_open=sign == ">")
    return Span(high=value, high_open=sign == "<")


def _last_digit(text: str) -> float:
    """What the last digit that was typed is worth: 0.01 for 5.43."""
    mantissa, _, power = text.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 10.0 ** max(-300, min(300, (int(power) if power else 0) - decimals))


def _count(cursor: Cursor, field: Field, sign: str, behind: int) -> Condition:
    if not _is_number(cursor, behind):
        cursor.fail(f"a number must follow, as in {field.value}>1.", behind)
    cursor.take(behind)
    low, high, unit = _numbers(cursor, sign, Known(None), ())
    if unit:
        cursor.at -= 1
        cursor.fail(f"{field.value} is a count and has no unit; leave it out.")
    whole = Span(low.value, low.value) if sign == "=" and not high else None
    said = f" {low.text}..{high.text}" if high else f"{sign}{low.text}"
    between = f"{low.text} … {high.text}" if high else f"{sign} {low.text}"
    words = f"{field.value} {between}".replace(">=", "≥").replace("<=", "≤")
    return Condition(
        field, f"{field.value}{said}", words, span=whole or _span(cursor, sign, low, high)
    )
