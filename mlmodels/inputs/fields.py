"""The form of a model's input: fields out of its JSON schema.

Pure. Whatever a schema says that no field can hold becomes a field for JSON, so each document can
be entered; nothing here raises, whatever the schema is. `reading.py` reads what was entered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mlmodels.inputs.pointers import escaped
from mlmodels.inputs.schema import SchemaReader, branches_of_choice, type_of

MOST_FIELDS = 150
MOST_DEPTH = 3
MOST_CHOICES = 500
MANY_CHOICES = 24  # of more, several are named in a text instead of ticked
LONG_TEXT = 200


class Kind(StrEnum):
    NUMBER = "number"
    INTEGER = "integer"
    TEXT = "text"
    LONG_TEXT = "long_text"
    SWITCH = "switch"
    CHOICE = "choice"
    CHOICES = "choices"
    NUMBERS = "numbers"
    LINES = "lines"
    TABLE = "table"
    RECORDS = "records"
    ARRAY = "array"
    IMAGE = "image"
    CSV = "csv"
    FILE = "file"
    JSON = "json"


#: What is entered as a text or given as a file.
WITH_FILE = frozenset(
    {Kind.NUMBERS, Kind.TABLE, Kind.RECORDS, Kind.ARRAY, Kind.CSV, Kind.JSON, Kind.LINES}
)
#: What is a file alone.
FILES = frozenset({Kind.IMAGE, Kind.FILE})
SUFFIXES = {
    Kind.NUMBERS: ".csv,.txt,.json,.npy",
    Kind.TABLE: ".csv,.txt,.json,.npy",
    Kind.RECORDS: ".csv,.json",
    Kind.ARRAY: ".json,.npy",
    Kind.CSV: ".csv,text/csv",
    Kind.JSON: ".json,.npy",
    Kind.LINES: ".txt",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of records: a property of its items."""

    name: str
    kind: Kind
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """`pointer` is the JSON pointer of its value in the document. `choices` are values of any JSON
    type with their words. `encoded` says how bytes stand in a text: "base64", "data-url" or "".
    """

    pointer: str
    kind: Kind
    label: str
    required: bool = False
    help: str = ""
    unit: str = ""
    hint: str = ""
    default: Any = None
    nullable: bool = False
    choices: tuple[tuple[Any, str], ...] = ()
    columns: tuple[Column, ...] = ()
    low: float | None = None
    high: float | None = None
    step: float | None = None
    pattern: str = ""
    most: int | None = None
    whole: bool = False
    input_type: str = "text"
    media: str = ""
    encoded: str = ""

    @property
    def name(self) -> str:
        """Its name in the form."""
        return f"in:{self.pointer}"

    @property
    def file_name(self) -> str:
        return f"file:{self.pointer}"

    @property
    def takes_file(self) -> bool:
        return self.kind in WITH_FILE or self.kind in FILES

    @property
    def suffixes(self) -> str:
        return self.media if self.kind in FILES else SUFFIXES.get(self.kind, "")

    @property
    def is_wide(self) -> bool:
        return self.kind in WITH_FILE or self.kind in FILES or self.kind is Kind.LONG_TEXT


@dataclass(frozen=True, slots=True)
class Group:
    """An object: its fields and inner objects, in the schema's order."""

    pointer: str
    label: str
    help: str
    required: bool
    parts: tuple[Field | Group, ...]

    def fields(self) -> list[Field]:
        found: list[Field] = []
        for part in self.parts:
            found.extend(part.fields() if isinstance(part, Group) else [part])
        return found


def group_of(schema: Any, like: Any = None) -> Group:
    """The whole form. A document that is no object is a group of one field, whose pointer is "".

    Stored schemas have lost the order of their properties: they stand as in the document `like`,
    then as `required` names them.
    """
    return _Maker(SchemaReader(schema)).root(like)


class _Maker:
    def __init__(self, reader: SchemaReader) -> None:
        self._reader = reader
        self._left = MOST_FIELDS

    def root(self, like: Any) -> Group:
        schema = self._reader.root()
        if type_of(schema)[0] == "object" and _properties(schema):
            return self._group(schema, "", "", required=True, depth=0, like=like)
        field = self._field(schema, "", text(schema.get("title")) or "Input", required=True)
        return Group("", "", "", True, (field,))

    def _group(
        self,
        schema: Mapping[str, Any],
        pointer: str,
        label: str,
        *,
        required: bool,
        depth: int,
        like: Any,
    ) -> Group:
        needed = schema.get("required")
        needed = list(map(str, needed)) if isinstance(needed, list) else []
        like = like if isinstance(like, Mapping) else {}
        known = _properties(schema)
        parts: list[Field | Group] = []
        for key in sorted(known, key=_order([*like, *needed])):
            one = known[key]
            inner = self._reader.resolved(one)
            where = f"{pointer}/{escaped(key)}"
            words = text(inner.get("title")) or words_of(key)
            is_group = (
                type_of(inner) == ("object", False)
                and bool(_properties(inner))
                and "const" not in inner
                and "enum" not in inner
                and depth < MOST_DEPTH
                and len(_properties(inner)) <= self._left
            )
            if is_group:
                parts.append(
                    self._group(
                        inner,
                        where,
                        words,
                        required=key in needed,
                        depth=depth + 1,
                        like=like.get(key),
                    )
                )
            else:
                parts.append(self._field(inner, where, words, required=key in needed))
        return Group(pointer, label, text(schema.get("description")), required, tuple(parts))

    def _field(
        self, schema: Mapping[str, Any], pointer: str, label: str, *, required: bool
    ) -> Field:
        self._left -= 1
        kind, nullable = type_of(schema)
        common: dict[str, Any] = {
            "pointer": pointer,
            "label": label,
            "required": required,
            "nullable": nullable,
            "help": text(schema.get("description")),
            "unit": unit_of(schema),
            "default": schema.get("default"),
        }
        choices = branches_of_choice(schema)
        if choices and len(choices) <= MOST_CHOICES:
            return Field(kind=Kind.CHOICE, choices=choices, **common)
        if kind in ("number", "integer"):
            return Field(kind=Kind(kind), **_bounds(schema, kind), **common)
        if kind == "boolean":
            return Field(kind=Kind.SWITCH, **common)
        if kind == "string":
            return Field(**_string(schema), **common)
        if kind == "array":
            return Field(**self._array(schema), **common)
        return Field(kind=Kind.JSON, **common)

    def _array(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        items = self._reader.resolved(schema.get("items", {}))
        kind, nullable = type_of(items)
        hint = _count_words(schema)
        if nullable or "prefixItems" in schema:
            return {"kind": Kind.JSON, "hint": hint}
        choices = branches_of_choice(items)
        if choices:
            few = schema.get("uniqueItems") is True and len(choices) <= MANY_CHOICES
            found = {"kind": Kind.CHOICES, "choices": choices} if few else {"kind": Kind.JSON}
            return {**found, "hint": hint}
        if kind in ("number", "integer"):
            return {"kind": Kind.NUMBERS, "whole": kind == "integer", "hint": hint}
        if kind == "string" and not _media(items)[0]:
            return {"kind": Kind.LINES, "hint": hint}
        if kind == "object":
            columns = self._columns(items)
            return {"kind": Kind.RECORDS if columns else Kind.JSON, "columns": columns}
        if kind == "array":
            inner = self._reader.resolved(items.get("items", {}))
            deep = type_of(inner)
            if deep in (("number", False), ("integer", False)) and "prefixItems" not in items:
                rows = _count_words(schema, "rows")
                wide = _count_words(items, "columns")
                hint = ", ".join(filter(None, (rows, wide)))
                return {"kind": Kind.TABLE, "whole": deep[0] == "integer", "hint": hint}
            return {"kind": Kind.ARRAY, "hint": _shape(schema, self._reader)}
        return {"kind": Kind.JSON, "hint": hint}

    def _columns(self, items: Mapping[str, Any]) -> tuple[Column, ...]:
        """Of records that are flat; of others none."""
        found = []
        for key, one in _properties(items).items():
            schema = self._reader.resolved(one)
            kind, nullable = type_of(schema)
            choices = branches_of_choice(schema)
            if choices and all(isinstance(value, str) for value, _ in choices):
                found.append(Column(key, Kind.TEXT, tuple(value for value, _ in choices)))
            elif nullable or choices or kind not in ("number", "integer", "string", "boolean"):
                return ()
            else:
                found.append(Column(key, COLUMN_KINDS[kind]))
        return tuple(found) if items.get("additionalProperties") is not True else ()


def _shape(schema: Mapping[str, Any], reader: SchemaReader) -> str:
    """The lengths of each level, where the schema fixes them all; else nothing."""
    sizes = []
    while type_of(schema)[0] == "array" and len(sizes) < 8:
        least = count(schema.get("minItems"))
        if least is None or least != count(schema.get("maxItems")):
            return ""
        sizes.append(f"{least:,}")
        schema = reader.resolved(schema.get("items", {}))
    return " × ".join(sizes)


COLUMN_KINDS = {
    "number": Kind.NUMBER,
    "integer": Kind.INTEGER,
    "string": Kind.TEXT,
    "boolean": Kind.SWITCH,
}
INPUT_TYPES = {"date": "date", "email": "email", "uri": "url", "time": "time"}


def _order(names: Sequence[str]) -> Callable[[str], int]:
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    return lambda name: places.get(name, len(names))


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _string(schema: Mapping[str, Any]) -> dict[str, Any]:
    media, encoded = _media(schema)
    if media.startswith("image/") or (encoded and media):
        kind = Kind.IMAGE if media.startswith("image/") else Kind.FILE
        return {"kind": kind, "media": media, "encoded": encoded or "base64"}
    if media == "text/csv":
        return {"kind": Kind.CSV, "media": media}
    most, least = count(schema.get("maxLength")), count(schema.get("minLength")) or 0
    long = media.startswith("text/") or least > LONG_TEXT or (most or 0) > LONG_TEXT
    pattern = schema.get("pattern")
    return {
        "kind": Kind.LONG_TEXT if long else Kind.TEXT,
        "most": most,
        "pattern": pattern if isinstance(pattern, str) else "",
        "input_type": INPUT_TYPES.get(text(schema.get("format")), "text"),
    }


def _media(schema: Mapping[str, Any]) -> tuple[str, str]:
    """The media type of what a text holds, and how its bytes are encoded."""
    media = text(schema.get("contentMediaType"))
    encoding = text(schema.get("contentEncoding")).lower()
    form = text(schema.get("format")).lower()
    if form == "data-url":
        return media or "application/octet-stream", "data-url"
    if encoding == "base64" or form in ("byte", "binary"):
        return media or "application/octet-stream", "base64"
    return media, ""


def _bounds(schema: Mapping[str, Any], kind: str) -> dict[str, Any]:
    low, high = finite(schema.get("minimum")), finite(schema.get("maximum"))
    above, below = finite(schema.get("exclusiveMinimum")), finite(schema.get("exclusiveMaximum"))
    step = finite(schema.get("multipleOf"))
    return {
        "low": low if above is None or (low is not None and low > above) else above,
        "high": high if below is None or (high is not None and high < below) else below,
        "step": step if step and step > 0 else (1 if kind == "integer" else None),
        "hint": _bounds_words(low, high, above, below),
        "whole": kind == "integer",
    }


def _bounds_words(
    low: float | None, high: float | None, above: float | None, below: float | None
) -> str:
    if low is not None and high is not None and above is None and below is None:
        return f"{low:g} to {high:g}"
    words = [
        f"{sign} {value:g}"
        for sign, value in (("≥", low), (">", above), ("≤", high), ("<", below))
        if value is not None
    ]
    return ", ".join(words)


def _count_words(schema: Mapping[str, Any], what: str = "values") -> str:
    least, most = count(schema.get("minItems")), count(schema.get("maxItems"))
    if least is not None and least == most:
        return f"{least:,} {what}"
    if least and most is not None:
        return f"{least:,} to {most:,} {what}"
    if most is not None:
        return f"at most {most:,} {what}"
    return f"at least {least:,} {what}" if least else ""


def unit_of(schema: Mapping[str, Any]) -> str:
    """JSON schema has no word for units; `unit` and `x-unit` are what people write."""
    return text(schema.get("unit") or schema.get("x-unit"))[:20]


def text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 1e300 else None


def count(value: Any) -> int | None:
    number = finite(value)
    return int(number) if number is not None and number >= 0 else None


def words_of(key: str) -> str:
    """The name of a property as people read it: joint_angles as Joint angles."""
    words = key.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:] if words else key or "–"
