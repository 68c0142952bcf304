"""What stands in a form's fields for a document: the inverse of reading.py. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlmodels.inputs.fields import FILES, Field, Group, Kind
from mlmodels.inputs.pointers import keys_of, last_key

#: What a field shows: a text, whether it is ticked, or the places of the chosen values.
Shown = str | bool | list[str]
EXAMPLE = "example"  # stands in a field of a file: the example's file
MOST_SHOWN = 200_000  # characters of one text; a longer example is sent as JSON or as a file


class _Nothing:
    """No value, which is another thing than null."""


NOTHING = _Nothing()


def filled(group: Group, document: Any) -> dict[str, Shown]:
    """By the fields' names. Fields that the document leaves out stand empty."""
    return {field.name: shown(field, value_at(document, field.pointer)) for field in group.fields()}


def initial(group: Group) -> dict[str, Shown]:
    """The defaults that the schema names."""
    return {
        field.name: shown(field, NOTHING if field.default is None else field.default)
        for field in group.fields()
        if field.kind not in FILES
    }


def fits(group: Group, document: Any) -> bool:
    """Whether the form can say the document: nothing of it has no field."""
    if group.pointer == "" and len(group.parts) == 1 and group.fields()[0].pointer == "":
        return True
    return _covered(group, document)


def _covered(group: Group, document: Any) -> bool:
    if not isinstance(document, Mapping):
        return False
    known = {last_key(part.pointer): part for part in group.parts}
    for key, value in document.items():
        part = known.get(key)
        if part is None:
            return False
        if isinstance(part, Group) and not _covered(part, value):
            return False
    return True


def value_at(document: Any, pointer: str) -> Any:
    found = document
    for key in keys_of(pointer):
        if not isinstance(found, Mapping) or key not in found:
            return NOTHING
        found = found[key]
    return found


def shown(field: Field, value: Any) -> Shown:
    if field.kind is Kind.CHOICES:
        given = value if isinstance(value, list) else []
        return [str(at) for at, (one, _) in enumerate(field.choices) if _among(one, given)]
    if value is NOTHING:
        return ""
    if field.kind in FILES:
        return EXAMPLE
    if field.kind is Kind.CHOICE:
        places = [at for at, (one, _) in enumerate(field.choices) if same(one, value)]
        return str(places[0]) if places else ""
    if value is None and field.kind is not Kind.JSON:
        return ""
    if field.kind is Kind.SWITCH:
        return {True: "true", False: "false"}.get(value, "") if isinstance(value, bool) else ""
    words = _words(field, value)
    return words if len(words) <= MOST_SHOWN else ""


def _among(value: Any, given: list[Any]) -> bool:
    return any(same(value, one) for one in given)


def same(one: Any, other: Any) -> bool:
    """Equality as JSON has it, where true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _words(field: Field, value: Any) -> str:
    if field.kind in (Kind.TEXT, Kind.LONG_TEXT, Kind.CSV) and isinstance(value, str):
        return value
    if field.kind in (Kind.NUMBER, Kind.INTEGER) and not isinstance(value, list | dict | str):
        return plain(value)
    try:
        if field.kind is Kind.NUMBERS:
            return ", ".join(plain(one) for one in value)
        if field.kind is Kind.TABLE:
            return "\n".join(", ".join(plain(one) for one in row) for row in value)
        if field.kind is Kind.LINES and all("\n" not in one and one.strip() for one in value):
            return "\n".join(value)
    except TypeError:
        pass
    return json.dumps(value, ensure_ascii=False, indent=None if _is_large(value) else 1)


def _is_large(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], list | int | float)


def plain(value: Any) -> str:
    """A number as JSON writes it. Raises TypeError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return json.dumps(value)
