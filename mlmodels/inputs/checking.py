"""Holding a document against its JSON schema, without ever leaving the process.

Patterns are left to the browser and to the model: an expression written by somebody else must not
be able to hold up the portal. What is too large to look at is left to the model as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from mlmodels.inputs.pointers import escaped

MOST_VALUES = 20_000
MOST_COMPLAINTS = 20
MOST_WORDS = 240


def complaints(schema: Any, document: Any) -> list[tuple[str, str]]:
    """What the schema says against the document, as (JSON pointer, words), outermost first."""
    if not isinstance(schema, dict) or not schema or _is_large(document):
        return []
    from jsonschema.exceptions import SchemaError, UnknownType
    from referencing.exceptions import Unresolvable

    try:
        validator = _validator_class()
        validator.check_schema(schema)
        found = []
        for error in validator(schema, registry=_registry()).iter_errors(document):
            found.append((_pointer(error), _words(error)))
            if len(found) >= MOST_COMPLAINTS:
                break
    except (SchemaError, UnknownType, Unresolvable, RecursionError):
        return []  # a schema that cannot be used says nothing against a document
    return sorted(found, key=lambda one: one[0].count("/"))


@lru_cache(maxsize=1)
def _validator_class() -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    return extend(Draft202012Validator, {"pattern": _passes, "patternProperties": _passes})


@lru_cache(maxsize=1)
def _registry() -> Any:
    """Knows nothing and fetches nothing."""
    from referencing import Registry

    return Registry()


def _passes(*_: Any) -> Iterator[Any]:
    return iter(())


def _pointer(error: Any) -> str:
    path = [escaped(str(part)) for part in error.absolute_path]
    if error.validator == "required" and isinstance(error.instance, dict):
        missing = [name for name in error.validator_value if name not in error.instance]
        said = [name for name in missing if error.message.startswith(repr(name))]
        path += [escaped(name) for name in (said or missing)[:1]]
    return "".join(f"/{part}" for part in path)


def _words(error: Any) -> str:
    if error.validator == "required":
        return "This is needed."
    limit = error.validator_value
    words = {
        "minimum": f"This has to be {limit} or more.",
        "maximum": f"This has to be {limit} or less.",
        "exclusiveMinimum": f"This has to be more than {limit}.",
        "exclusiveMaximum": f"This has to be less than {limit}.",
        "multipleOf": f"This has to be a multiple of {limit}.",
        "minLength": f"This has to have {limit} characters or more.",
        "maxLength": f"This may have {limit} characters at most.",
        "minItems": f"{_length(error)} given, {limit} or more are needed.",
        "maxItems": f"{_length(error)} given, {limit} at most.",
        "uniqueItems": "Something is named twice.",
    }.get(str(error.validator), "")
    return words or str(error.message)[:MOST_WORDS]


def _length(error: Any) -> int:
    return len(error.instance) if isinstance(error.instance, list) else 0


def _is_large(document: Any) -> bool:
    left, open_ones = MOST_VALUES, [document]
    while open_ones and left > 0:
        value = open_ones.pop()
        left -= 1
        if isinstance(value, dict):
            open_ones.extend(value.values())
        elif isinstance(value, list):
            left -= len(value)
            open_ones.extend(one for one in value if isinstance(one, list | dict))
    return left <= 0
