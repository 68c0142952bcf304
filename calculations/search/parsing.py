"""From text to a Query: conditions as typed, and the words that people use for the same.

Refuses with InvalidInput alone, which names the place and the remedy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches

from calculations.search import dates, quantities
from calculations.search.cursor import Cursor, listed, quoted
from calculations.search.naming import software_label, software_names, substance_of
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
    STATE_WORDS,
    STATES,
    STATES_OF_TWO,
)
from calculations.software.structure import ATOMIC_NUMBERS
from calculations.states import TERMINAL
from calculations.structures.library import composition
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


class _Reader:
    def __init__(self, cursor: Cursor, user: User | None) -> None:
        self.cursor, self.user = cursor, user
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
        if odd or word.lower() == "or":
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
        if value is None or (field is Field.ELEMENT and _symbol(value.text) is None):
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
            return self._state([pair])
        word = cursor.word()
        if word in STATES and word != "done":
            cursor.take()
            return self._state([word])
        if word in STANDINGS and word != "none":
            cursor.take()
            return self._standing([word])
        if word in OPPOSITES:
            cursor.take()
            return replace(self._standing([OPPOSITES[word]]), negated=True)
        if word in MINE and self.user is not None:
            cursor.take()
            return self._person(["me"])
        names = software_names()
        for length in (2, 1):
            said = " ".join(cursor.words(length))
            if said in names:
                cursor.take(length)
                return self._software([names[said]])
        return self._named()

    def _named(self) -> Condition | None:
        cursor = self.cursor
        piece = cursor.peek()
        if piece is None:
            return None
        if _numbered(piece.text):
            cursor.take()
            return self._number([piece.text])
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

    def _state(self, values: list[str]) -> Condition:
        found: list[str] = []
        for value in values:
            states = STATES.get(value.lower().replace(" ", "_"))
            self._must_know(states, value, STATES, "state")
            found += states or ()
        return listed(Field.STATE, tuple(found), " or ".join(STATE_WORDS[s] for s in found))

    def _standing(self, values: list[str]) -> Condition:
        found: list[str] = []
        for value in values:
            standings = STANDINGS.get(value.lower())
            self._must_know(standings, value, STANDINGS, "standing")
            found += standings or ()
        said = tuple(value.lower() for value in values)
        return replace(listed(Field.STANDING, said, " or ".join(said)), values=tuple(found))

    def _must_know(
        self, found: object, value: str, choices: dict[str, tuple[str, ...]], of: str
    ) -> None:
        if found is None:
            near = get_close_matches(value.lower(), choices, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose of {', '.join(choices)}."
            self.cursor.at -= 1
            self.cursor.fail(f"“{value[:40]}” is no {of}; {hint}")

    def _software(self, values: list[str]) -> Condition:
        names = software_names()
        cursor, found = self.cursor, []
        for value in values:
            both = f"{value.lower()} {cursor.word()}"
            if value.lower() not in names and both in names:
                cursor.take()
                value = both
            near = get_close_matches(value.lower(), names, n=1)
            if value.lower() not in names and near:
                cursor.at -= 1
                cursor.fail(f"there is no software “{value[:40]}”; did you mean {near[0]}?")
            found.append(names.get(value.lower(), value))
        return listed(Field.SOFTWARE, tuple(found), " or ".join(map(software_label, found)))

    def _person(self, values: list[str]) -> Condition:
        own = self.user.get_username() if self.user is not None else "me"
        names = tuple(own if value.lower() in ("me", *MINE) else value for value in values)
        words = "by " + " or ".join("me" if name == own else name for name in names)
        return replace(listed(Field.PERSON, tuple(values), words), values=names)

    def _formula(self, values: list[str]) -> Condition:
        for value in values:
            if composition(value) is None:
                self.cursor.at -= 1
                self.cursor.fail(f"“{value[:40]}” is no formula; write elements as in H2O or NaCl.")
        return listed(Field.FORMULA, tuple(values), " or ".join(values))

    def _element(self, values: list[str]) -> Condition:
        found = []
        for value in values:
            symbol = _symbol(value)
            if symbol is None:
                self.cursor.at -= 1
                self.cursor.fail(f"“{value[:40]}” is no element; write a symbol such as Si.")
            found.append(str(symbol))
        return listed(Field.ELEMENT, tuple(found), f"contains {' or '.join(found)}")

    def _number(self, values: list[str]) -> Condition:
        for value in values:
            if not _numbered(value) and not _plain_number(value):
                self.cursor.at -= 1
                self.cursor.fail(f"“{value[:40]}” is no number; write C-12 or S-3.")
        found = tuple(value.upper() for value in values)
        if len(found) == 1 and _numbered(found[0]):
            return Condition(Field.NUMBER, found[0], found[0], found)
        return listed(Field.NUMBER, found, " or ".join(found))

    def _substance(self, values: list[str]) -> Condition:
        return listed(Field.SUBSTANCE, tuple(values), " or ".join(values))

    def _texts(self, values: list[str]) -> Condition:
        bare = [value.strip('"') for value in values]
        said = " or ".join(f"“{value}”" for value in bare)
        return listed(Field.TEXT, tuple(values), said)

    def _project(self, values: list[str]) -> Condition:
        return listed(Field.PROJECT, tuple(values), f"in project {' or '.join(values)}")

    def _cluster(self, values: list[str]) -> Condition:
        return listed(Field.CLUSTER, tuple(values), f"on {' or '.join(values)}")

    def _tag(self, values: list[str]) -> Condition:
        return listed(Field.TAG, tuple(values), f"tagged {' or '.join(values)}")


READERS: dict[Field, Callable[[_Reader, list[str]], Condition]] = {
    Field.STATE: _Reader._state,
    Field.STANDING: _Reader._standing,
    Field.SOFTWARE: _Reader._software,
    Field.PERSON: _Reader._person,
    Field.PROJECT: _Reader._project,
    Field.CLUSTER: _Reader._cluster,
    Field.FORMULA: _Reader._formula,
    Field.ELEMENT: _Reader._element,
    Field.TAG: _Reader._tag,
    Field.TEXT: _Reader._texts,
    Field.NUMBER: _Reader._number,
    Field.SUBSTANCE: _Reader._substance,
}


def _numbered(word: str) -> bool:
    return word[:2].upper() in ("C-", "S-") and _plain_number(word[2:])


def _plain_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) < 16


def _symbol(word: str) -> str | None:
    symbol = word.capitalize()
    return symbol if symbol in ATOMIC_NUMBERS else None


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
