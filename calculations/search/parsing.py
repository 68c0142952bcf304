"""From text to a Query: conditions as typed, and the words that people use for the same.

Refuses with InvalidInput alone, which names the place and the remedy.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from calculations.search import dates, quantities
from calculations.search.cursor import Cursor, listed, quoted
from calculations.search.fields import READERS, FieldReader, is_numbered, symbol_of
from calculations.search.naming import software_names, substance_of
from calculations.search.query import Condition, Field, Query, Span
from calculations.search.scanning import Piece
from calculations.search.words import (
    DATES,
    FIELDS,
    IDLE,
    MINE,
    NOT,
    OPPOSITES,
    PREPOSITIONS,
    SINCE,
    STANDINGS,
    STATES,
    STATES_OF_TWO,
)
from calculations.states import TERMINAL
from labportal.accounts.models import User
from labportal.common.errors import InvalidInput

LONGEST = 500
MOST = 30
NEVER = (datetime.max.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
PHRASES = frozenset({"this", "last", "past"})


def parse(text: str, *, user: User | None = None) -> Query:
    """Understand the text; quantities are those that the user may see. Raises InvalidInput."""
    clean = "".join(c if c.isprintable() and not "\ud800" <= c <= "\udfff" else " " for c in text)
    if len(clean) > LONGEST:
        raise InvalidInput(
            f"A search has {LONGEST} characters at most; this one has {len(clean)}.", field="q"
        )
    return _Reader(Cursor(clean), user).query()


class _Reader(FieldReader):
    def __init__(self, cursor: Cursor, user: User | None) -> None:
        super().__init__(cursor, user)
        self.known = quantities.Known(user)
        self.found: list[Condition] = []
        self.idle: list[str] = []
        said = {cursor.word(i) for i in range(len(cursor.pieces))}
        ended = any(set(STATES[w]) <= TERMINAL for w in said if w in STATES)
        self.usual_date = Field.FINISHED if ended else Field.CREATED

    def query(self) -> Query:
        cursor, joined, negated = self.cursor, False, False
        while cursor.peek() is not None:
            if cursor.kind() == "minus":
                cursor.take()
                negated = not negated
                continue
            if cursor.word() == "or" and self.found and cursor.peek(1) is not None:
                cursor.take()
                joined = True
                continue
            if self._negates():
                cursor.take()
                negated = not negated
                continue
            start = cursor.at
            condition = self._next(cursor.pieces[start])
            if condition is None:
                continue
            condition = replace(condition, negated=negated != condition.negated)
            if joined:
                condition = self._merged(self.found.pop(), condition, start)
            self.found.append(condition)
            joined = negated = False
            if len(self.found) > MOST:
                cursor.at = start
                cursor.fail(f"a search has {MOST} conditions at most; take some out.")
        once = tuple({(c.written, c.negated): c for c in self.found}.values())
        return Query(cursor.text.strip(), once, tuple(dict.fromkeys(self.idle)))

    def _negates(self) -> bool:
        cursor = self.cursor
        if cursor.word() not in NOT or cursor.words(2) in STATES_OF_TWO:
            return False
        return cursor.kind(1) in ("word", "quoted") and cursor.word() != "but"

    def _merged(self, before: Condition, condition: Condition, start: int) -> Condition:
        same = before.field == condition.field and before.negated == condition.negated
        if not same or not before.values or not condition.values or before.measured:
            self.cursor.at = start
            self.cursor.fail("“or” stands between values of one field, as in state:valid,failed.")
        values = before.values + condition.values
        return replace(
            listed(before.field, values, ""),
            words=f"{before.words} or {condition.words}",
            values=tuple(dict.fromkeys(values)),
            negated=before.negated,
        )

    def _next(self, piece: Piece) -> Condition | None:
        cursor = self.cursor
        if piece.kind == "quoted":
            cursor.take()
            return self._phrase(piece.text)
        if piece.kind == "sign":
            cursor.fail(f"a name must stand before it, as in gap{piece.text}5 or state:valid.")
        if piece.kind != "word":
            cursor.take()
            return None
        for read in (self._field, self._date, self._quantity, self._preposition, self._bare):
            found = read()
            if found is not None:
                return found
        cursor.take()
        if piece.lower in IDLE:
            self.idle.append(piece.lower)
            return None
        return self._text(piece.text)

    def _phrase(self, text: str) -> Condition | None:
        text = " ".join(text.split())
        if not any(c.isalnum() for c in text):
            return None
        return Condition(Field.TEXT, f'"{text}"', f"“{text}”", (f'"{text}"',))

    def _text(self, word: str) -> Condition | None:
        if not any(c.isalnum() for c in word):
            return None
        odd = quoted(word) != word or word.lower() in NOT or word.lower() in FIELDS
        if odd or word.lower() == "or" or word.lower() in SINCE:
            return self._phrase(word)  # by itself it would be read as something else
        return Condition(Field.TEXT, word, f"“{word}”", (word,))

    def _field(self) -> Condition | None:
        """A name, a colon, values: state:valid,failed."""
        cursor = self.cursor
        field = FIELDS.get(cursor.word())
        if field is None or cursor.kind(1) != "sign":
            return None
        sign = cursor.peek(1)
        if field in quantities.COUNTS or field in DATES:
            return None
        if sign is not None and sign.text != "=":
            cursor.fail(f"{field.value} is not compared; write {field.value}:value.", 1)
        name = cursor.take(2).lower
        values = self._values(name)
        return READERS[field](self, values)

    def _values(self, name: str) -> list[str]:
        cursor = self.cursor
        values: list[str] = []
        while cursor.kind() in ("word", "quoted"):
            piece = cursor.take()
            whole = piece.kind == "quoted" and FIELDS.get(name) is Field.TEXT
            values.append(f'"{piece.text.strip()}"' if whole else piece.text.strip())
            if cursor.kind() != "comma":
                break
            cursor.take()
        values = [value for value in values if value.strip('"')]
        if not values:
            example = {"state": "valid", "software": "siesta", "formula": "H2O"}.get(name, "lab")
            cursor.at -= 1
            cursor.fail(f"a value must follow, as in {name}:{example}.")
        return values

    def _preposition(self) -> Condition | None:
        cursor = self.cursor
        field = PREPOSITIONS.get(cursor.word())
        if field is None or cursor.kind(1) not in ("word", "quoted") or cursor.word(1) in IDLE:
            return None
        value = cursor.peek(1)
        if value is None or not value.text.strip():
            return None
        if field is Field.ELEMENT and symbol_of(value.text) is None:
            return None
        cursor.take(2)
        return READERS[field](self, [value.text.strip()])

    def _quantity(self) -> Condition | None:
        return quantities.read(self.cursor, self.known)

    def _bare(self) -> Condition | None:
        """A word that says by itself what it is: valid, siesta, mine, C-12, H2O."""
        cursor = self.cursor
        pair = STATES_OF_TWO.get(cursor.words(2))
        if pair:
            cursor.take(2)
            return self.state([pair])
        word = cursor.word()
        if word in STATES and word != "done":
            cursor.take()
            return self.state([word])
        if word in STANDINGS and word != "none":
            cursor.take()
            return self.standing([word])
        if word in OPPOSITES:
            cursor.take()
            return replace(self.standing([OPPOSITES[word]]), negated=True)
        if word in MINE and self.user is not None:
            cursor.take()
            return self.person(["me"])
        names = software_names()
        for length in (2, 1):
            said = " ".join(cursor.words(length))
            if said in names:
                cursor.take(length)
                return self.software([names[said]])
        return self._named()

    def _named(self) -> Condition | None:
        cursor = self.cursor
        piece = cursor.peek()
        if piece is None:
            return None
        if is_numbered(piece.text):
            cursor.take()
            return self.number([piece.text])
        formula = substance_of(piece.text)
        if formula:
            cursor.take()
            words = f"{formula} or “{piece.text}”" if formula != piece.text else formula
            return Condition(Field.SUBSTANCE, quoted(piece.text), words, (piece.text,))
        return None

    def _date(self) -> Condition | None:
        """finished>2026-11-01, since monday, created last week, in the last 7 days."""
        cursor = self.cursor
        named = FIELDS.get(cursor.word())
        field = named if named in DATES else None
        ahead = 1 if field else 0
        sign = ""
        if field and cursor.kind(1) == "sign":
            piece = cursor.peek(1)
            sign, ahead = (piece.text if piece else ""), 2
        elif cursor.word(ahead) in SINCE:
            sign, ahead = SINCE[cursor.word(ahead)], ahead + 1
        elif field and cursor.word(ahead) in ("on", "in"):
            ahead += 1
        ahead += cursor.word(ahead) == "the"
        word, length = self._day(ahead)
        if not word:
            return self._no_date(field, sign, ahead)
        if not (field or sign) and word[:4].isdecimal():
            return None  # a bare number is no year
        cursor.take(ahead + length)
        end = ""
        if cursor.kind() == "range" and sign in ("", "="):
            cursor.take()
            end, length = self._day(0)
            if not end:
                cursor.fail("a date must end the range, as in 2026-11-01..2026-11-15.")
            cursor.take(length)
        if length > 1 and not sign and word[-1:] in "hdw" and word[:-1].isdecimal():
            sign = ">="  # in the last 7 days
        return _dated(field or self.usual_date, sign or "=", word, end)

    def _day(self, ahead: int) -> tuple[str, int]:
        """The date there as one word, and how many pieces it takes."""
        cursor = self.cursor
        first, second, third = cursor.words(3, ahead)
        unit = dates.UNITS.get(third.removesuffix("s"))
        if first in ("last", "past") and second.isdecimal() and unit and len(second) < 5:
            return f"{second}{unit}", 3
        unit = dates.UNITS.get(second.removesuffix("s"))
        if first.isdecimal() and len(first) < 5 and unit and third == "ago":
            return f"{first}{unit}", 3
        if first in PHRASES and f"{'last' if first == 'past' else first}-{second}" in dates.SPANS:
            return f"{'last' if first == 'past' else first}-{second}", 2
        return (first, 1) if first and dates.read(first) else ("", 0)

    def _no_date(self, field: Field | None, sign: str, ahead: int) -> None:
        cursor = self.cursor
        odd = sign and (cursor.word(ahead)[:1].isdecimal() or cursor.kind(ahead - 1) == "sign")
        if odd:
            cursor.fail("a date must follow: 2026-11-01, monday, last-week or 7d.", ahead)


def _dated(field: Field, sign: str, word: str, end: str) -> Condition:
    first = dates.read(word) or NEVER
    last = dates.read(end) or NEVER if end else first
    if end:
        span = Span(min(first[0], last[0]), max(first[1], last[1]), high_open=True)
        said, words = f":{word}..{end}", f"from {dates.words(first[0])} to {end}"
    elif sign == "=":
        span = Span(first[0], first[1], high_open=True)
        said, words = f":{word}", f"on {dates.words(first[0])}"
        if first[1] - first[0] > dates.LENGTHS["d"] * 1.1:
            words = f"{word.replace('-', ' ')} (from {dates.words(first[0])})"
    elif sign in (">", ">="):
        start = first[1] if sign == ">" else first[0]
        span = Span(low=start)
        said, words = f"{sign}{word}", f"since {dates.words(start)}"
    else:
        stop = first[0] if sign == "<" else first[1]
        span = Span(high=stop, high_open=True)
        said, words = f"{sign}{word}", f"before {dates.words(stop)}"
    return Condition(field, f"{field.value}{said}", f"{field.value} {words}", span=span)
