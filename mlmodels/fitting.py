"""What of a structure or a calculation fits a model's input: the document that is sent, or what is
missing for one.

Pure. A field of the input takes the value of its own name (or of an alias of it) if its schema
allows that value; inner objects are filled in the same way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labportal.common.sending import Subject
from mlmodels.inputs.checking import complaints
from mlmodels.inputs.fields import Group, group_of
from mlmodels.inputs.filling import NOTHING
from mlmodels.inputs.pointers import keys_of, last_key, nearest

JSON = "application/json"
GENERIC = frozenset({"name", "software", "parameters"})  # alone they mean nothing
WHOLE = ("structure", "atoms", "molecule", "geometry", "system", "calculation", "input")


@dataclass(frozen=True, slots=True)
class Fit:
    """`body` may be sent as it is if nothing is `missing`; `document` is what there is of it."""

    content_type: str
    body: str = ""
    document: Any = None
    missing: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        return not self.missing


def fit(subject: Subject, accepts: Sequence[str], schema: Any) -> Fit | None:
    """None where the model asks for nothing that the subject has."""
    taken = [one.partition(";")[0].strip().lower() for one in accepts]
    for content_type, write in subject.texts.items():
        if content_type in taken:
            return Fit(content_type, body=write())
    if taken and JSON not in taken and "*/*" not in taken and "application/*" not in taken:
        return None
    if not isinstance(schema, Mapping) or not schema:
        document = {"subject": subject.key, **subject.values}
        return Fit(JSON, json.dumps(document), document)
    group = group_of(schema)
    if [one.pointer for one in group.fields()] == [""]:
        return None
    filling = _Filling(subject)
    document = filling.object(group, subject.values)
    filling.mend(group, schema, document)
    if {last_key(pointer) for pointer in filling.used} <= GENERIC:
        return None
    return Fit(JSON, json.dumps(document), document, tuple(filling.missing))


class _Filling:
    def __init__(self, subject: Subject) -> None:
        self._aliases = {plain(one): plain(other) for one, other in subject.aliases.items()}
        self.used: set[str] = set()
        self.missing: list[str] = []

    def object(self, group: Group, values: Mapping[str, Any]) -> dict[str, Any]:
        by_name = {plain(name): value for name, value in values.items()}
        found = {}
        for part in group.parts:
            key = last_key(part.pointer)
            if isinstance(part, Group):
                inner = self._named(by_name, key)
                if not isinstance(inner, Mapping):
                    inner = values if plain(key) in WHOLE else {}
                before = len(self.missing)
                filled = self.object(part, inner)
                if filled or part.required:
                    found[key] = filled
                else:
                    del self.missing[before:]  # what is left out needs nothing
                continue
            value = self._named(by_name, key)
            if value is not NOTHING:
                found[key] = value
                self.used.add(part.pointer)
            elif part.default is not None:
                found[key] = part.default
            elif part.required:
                self.missing.append(part.label)
        return found

    def _named(self, by_name: Mapping[str, Any], key: str) -> Any:
        name = plain(key)
        value = by_name.get(name, by_name.get(self._aliases.get(name, name), NOTHING))
        return NOTHING if value is None else value

    def mend(self, group: Group, schema: Any, document: dict[str, Any]) -> None:
        """Take out what the schema does not allow: it only bears the same name."""
        fields = {one.pointer: one for one in group.fields()}
        for pointer, words in complaints(schema, document):
            one = fields.get(nearest(pointer, fields))
            if one is None:
                if pointer not in fields:
                    self.missing.append(words)
                continue
            if one.pointer in self.used:
                self.used.discard(one.pointer)
                _remove(document, one.pointer)
                if one.required:
                    self.missing.append(one.label)


def _remove(document: dict[str, Any], pointer: str) -> None:
    *path, last = keys_of(pointer)
    place: Any = document
    for key in path:
        place = place.get(key, {})
    place.pop(last, None)


def plain(name: str) -> str:
    """atomicNumbers and atomic_numbers are one name."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
