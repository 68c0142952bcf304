"""Reading a JSON schema: references, types, choices. Nothing here raises or leaves the schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from mlmodels.inputs.pointers import keys_of

MOST_REFERENCES = 12


class SchemaReader:
    """Follows references within the one schema; what cannot be followed is an empty schema, which
    takes anything.
    """

    def __init__(self, schema: Any) -> None:
        self._whole: Mapping[str, Any] = schema if isinstance(schema, Mapping) else {}

    def root(self) -> Mapping[str, Any]:
        return self.resolved(self._whole)

    def resolved(self, schema: Any) -> Mapping[str, Any]:
        """The schema without `$ref`, and with the one that allows null or stands alone in place of
        `allOf`, `anyOf` and `oneOf`.
        """
        for _ in range(MOST_REFERENCES):
            if not isinstance(schema, Mapping):
                return {}
            if "$ref" in schema:
                beside = {key: value for key, value in schema.items() if key != "$ref"}
                target = self._at(schema["$ref"])
                schema = {**target, **beside} if target is not None else {}
                continue
            inner = _only_branch(schema)
            if inner is None:
                return schema
            schema = inner
        return {}

    def _at(self, reference: Any) -> Mapping[str, Any] | None:
        if reference == "#":
            return self._whole
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return None
        found: Any = self._whole
        for key in keys_of(unquote(reference[1:])):
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, Mapping) and key in found:
                found = found[key]
            else:
                return None
        return found if isinstance(found, Mapping) else None


def _only_branch(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for word in ("allOf", "anyOf", "oneOf"):
        branches = schema.get(word)
        if not isinstance(branches, list) or not all(isinstance(one, Mapping) for one in branches):
            continue
        real = [one for one in branches if one.get("type") != "null"]
        beside = {key: value for key, value in schema.items() if key != word}
        if len(real) == 1 and (len(branches) == 1 or word != "allOf"):
            merged = {**real[0], **beside}
            return merged if len(branches) == len(real) else _with_null(merged)
    return None


def _with_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind] if isinstance(kind, str) else []
    return {**schema, "type": [*kinds, "null"]} if kinds else {**schema, "nullable": True}


def type_of(schema: Mapping[str, Any]) -> tuple[str, bool]:
    """The one type that its values have and whether they may be null; "" where there are more."""
    kind = schema.get("type")
    nullable = schema.get("nullable") is True
    kinds = [kind] if isinstance(kind, str) else kind if isinstance(kind, list) else []
    if "null" in kinds:
        nullable = True
    real = [one for one in kinds if one != "null" and isinstance(one, str)]
    if set(real) == {"number", "integer"}:
        real = ["number"]
    if not real and isinstance(schema.get("properties"), Mapping):
        real = ["object"]
    if any(word in schema for word in ("anyOf", "oneOf", "allOf", "not", "if")):
        return "", nullable
    return (real[0] if len(real) == 1 else ""), nullable


def branches_of_choice(schema: Mapping[str, Any]) -> tuple[tuple[Any, str], ...]:
    """The values that it may be, each with its words; empty where it is no choice."""
    if "const" in schema:
        return ((schema["const"], _words(schema["const"], schema)),)
    values = schema.get("enum")
    if isinstance(values, list) and values:
        return tuple((value, _words(value, {})) for value in values)
    for word in ("oneOf", "anyOf"):
        branches = schema.get(word)
        if (
            isinstance(branches, list)
            and branches
            and all(isinstance(one, Mapping) and "const" in one for one in branches)
        ):
            return tuple((one["const"], _words(one["const"], one)) for one in branches)
    return ()


def _words(value: Any, schema: Mapping[str, Any]) -> str:
    title = schema.get("title")
    if isinstance(title, str) and title.strip():
        return title
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
