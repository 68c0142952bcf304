"""Fields with values, of which each says what it takes: state:valid, formula:H2O, person:me."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches

from calculations.search.cursor import Cursor, listed
from calculations.search.naming import software_label, software_names
from calculations.search.query import Condition, Field
from calculations.search.words import MINE, STANDINGS, STATE_WORDS, STATES
from calculations.software.structure import ATOMIC_NUMBERS
from calculations.structures.library import composition
from labportal.accounts.models import User


class FieldReader:
    """Makes conditions of values that were read; refuses at the cursor."""

    def __init__(self, cursor: Cursor, user: User | None) -> None:
        self.cursor, self.user = cursor, user

    def state(self, values: list[str]) -> Condition:
        found: list[str] = []
        for value in values:
            states = STATES.get(value.lower().replace(" ", "_"))
            self._must_know(states, value, STATES, "state")
            found += states or ()
        return listed(Field.STATE, tuple(found), " or ".join(STATE_WORDS[s] for s in found))

    def standing(self, values: list[str]) -> Condition:
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

    def software(self, values: list[str]) -> Condition:
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

    def person(self, values: list[str]) -> Condition:
        own = self.user.get_username() if self.user is not None else "me"
        names = tuple(own if value.lower() in ("me", *MINE) else value for value in values)
        words = "by " + " or ".join("me" if name == own else name for name in names)
        return replace(listed(Field.PERSON, tuple(values), words), values=names)

    def formula(self, values: list[str]) -> Condition:
        for value in values:
            if composition(value) is None:
                self.cursor.at -= 1
                self.cursor.fail(f"“{value[:40]}” is no formula; write elements as in H2O or NaCl.")
        return listed(Field.FORMULA, tuple(values), " or ".join(values))

    def element(self, values: list[str]) -> Condition:
        found = []
        for value in values:
            symbol = symbol_of(value)
            if symbol is None:
                self.cursor.at -= 1
                self.cursor.fail(f"“{value[:40]}” is no element; write a symbol such as Si.")
            found.append(str(symbol))
        return listed(Field.ELEMENT, tuple(found), f"contains {' or '.join(found)}")

    def number(self, values: list[str]) -> Condition:
        for value in values:
            if not is_numbered(value) and not _is_plain(value):
                self.cursor.at -= 1
                self.cursor.fail(f"“{value[:40]}” is no number; write C-12 or S-3.")
        found = tuple(value.upper() for value in values)
        if len(found) == 1 and is_numbered(found[0]):
            return Condition(Field.NUMBER, found[0], found[0], found)
        return listed(Field.NUMBER, found, " or ".join(found))

    def substance(self, values: list[str]) -> Condition:
        return listed(Field.SUBSTANCE, tuple(values), " or ".join(values))

    def texts(self, values: list[str]) -> Condition:
        bare = [value.strip('"') for value in values]
        said = " or ".join(f"“{value}”" for value in bare)
        return listed(Field.TEXT, tuple(values), said)

    def project(self, values: list[str]) -> Condition:
        return listed(Field.PROJECT, tuple(values), f"in project {' or '.join(values)}")

    def cluster(self, values: list[str]) -> Condition:
        return listed(Field.CLUSTER, tuple(values), f"on {' or '.join(values)}")

    def tag(self, values: list[str]) -> Condition:
        return listed(Field.TAG, tuple(values), f"tagged {' or '.join(values)}")


READERS: dict[Field, Callable[[FieldReader, list[str]], Condition]] = {
    Field.STATE: FieldReader.state,
    Field.STANDING: FieldReader.standing,
    Field.SOFTWARE: FieldReader.software,
    Field.PERSON: FieldReader.person,
    Field.PROJECT: FieldReader.project,
    Field.CLUSTER: FieldReader.cluster,
    Field.FORMULA: FieldReader.formula,
    Field.ELEMENT: FieldReader.element,
    Field.TAG: FieldReader.tag,
    Field.TEXT: FieldReader.texts,
    Field.NUMBER: FieldReader.number,
    Field.SUBSTANCE: FieldReader.substance,
}


def is_numbered(word: str) -> bool:
    return word[:2].upper() in ("C-", "S-") and _is_plain(word[2:])


def _is_plain(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) < 16


def symbol_of(word: str) -> str | None:
    symbol = word.capitalize()
    return symbol if symbol in ATOMIC_NUMBERS else None
