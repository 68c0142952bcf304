"""The form of a model's input: what fields a schema becomes, and what a filled form stands for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlmodels.inputs.fields import Field, Kind, group_of
from mlmodels.inputs.filling import filled, fits, initial
from mlmodels.inputs.reading import Entered, entered

PNG = b"\x89PNG\r\n\x1a\n0000"
REDSHIFT = {
    "type": "object",
    "required": ["magnitudes", "images"],
    "properties": {
        "magnitudes": {
            "type": "array",
            "items": {"type": "number"},
            "minItems": 5,
            "maxItems": 5,
            "description": "u, g, r, i, z",
            "unit": "mag",
        },
        "images": {
            "type": "array",
            "items": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        },
        "precision": {"enum": ["fp32", "bf16"], "default": "fp32"},
    },
}


def field(schema: dict[str, Any], *, required: bool = True) -> Field:
    whole = {"type": "object", "properties": {"x": schema}, "required": ["x"] if required else []}
    return group_of(whole).fields()[0]


def read(schema: dict[str, Any], *, required: bool = True, **given: Any) -> Entered:
    """The document of a form of one property x, from its text, or its file."""
    whole = {"type": "object", "properties": {"x": schema}, "required": ["x"] if required else []}
    texts = {"in:/x": [given["text"]] if isinstance(given["text"], str) else given["text"]}
    return entered(
        group_of(whole), whole, texts, {"file:/x": given["file"]} if "file" in given else {}
    )


NUMBERS = {"type": "array", "items": {"type": "number"}}
TABLE = {"type": "array", "items": NUMBERS}
RECORDS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "joint": {"enum": ["knee", "hip"]},
            "angle": {"type": "number"},
            "left": {"type": "boolean"},
        },
    },
}


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "number"}, Kind.NUMBER),
        ({"type": ["integer", "null"]}, Kind.INTEGER),
        ({"type": ["number", "integer"]}, Kind.NUMBER),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, Kind.NUMBER),
        ({"type": "boolean"}, Kind.SWITCH),
        ({"type": "string"}, Kind.TEXT),
        ({"type": "string", "maxLength": 5000}, Kind.LONG_TEXT),
        ({"type": "string", "enum": ["a", "b"]}, Kind.CHOICE),
        ({"oneOf": [{"const": 1, "title": "One"}, {"const": 2}]}, Kind.CHOICE),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True}, Kind.CHOICES),
        (NUMBERS, Kind.NUMBERS),
        (TABLE, Kind.TABLE),
        ({"type": "array", "items": TABLE}, Kind.ARRAY),
        (RECORDS, Kind.RECORDS),
        ({"type": "array", "items": {"type": "string"}}, Kind.LINES),
        ({"type": "string", "contentMediaType": "text/csv"}, Kind.CSV),
        (
            {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
            Kind.IMAGE,
        ),
        ({"type": "string", "format": "byte"}, Kind.FILE),
        ({"oneOf": [{"type": "number"}, {"type": "string"}]}, Kind.JSON),
        ({"$ref": "#/nowhere"}, Kind.JSON),
        ({"type": "object"}, Kind.JSON),
        ({}, Kind.JSON),
        (True, Kind.JSON),
    ],
)
def test_a_property_becomes_the_field_of_its_type(schema: Any, kind: Kind) -> None:
    assert field(schema).kind is kind


def test_references_within_the_schema_are_followed() -> None:
    schema = {
        "$defs": {"angle": {"type": "number", "maximum": 180}},
        "properties": {"a": {"$ref": "#/$defs/angle", "title": "Knee"}},
    }
    found = group_of(schema).fields()[0]
    assert (found.kind, found.high, found.label) == (Kind.NUMBER, 180, "Knee")


def test_a_reference_to_itself_ends_as_json() -> None:
    node: dict[str, Any] = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    found = group_of(node)
    assert found.fields()[-1].kind is Kind.JSON


def test_bounds_and_units_stand_beside_the_field() -> None:
    found = field({"type": "number", "minimum": 0, "maximum": 10, "x-unit": "eV"})
    assert (found.hint, found.unit, found.low, found.high) == ("0 to 10", "eV", 0, 10)
    assert field({"type": "number", "exclusiveMinimum": 0}).hint == "> 0"
    assert field({**NUMBERS, "minItems": 3, "maxItems": 3}).hint == "3 values"
    three = {"minItems": 3, "maxItems": 3}
    table = {**TABLE, "minItems": 20, "items": {**NUMBERS, **three}}
    assert field(table).hint == "at least 20 rows, 3 columns"
    deep = {"type": "array", "items": {**TABLE, **three, "items": {**NUMBERS, **three}}}
    assert field(deep).hint == ""
    assert field({**deep, **three}).hint == "3 × 3 × 3"


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "number"}, " 1.5e3 ", 1500.0),
        ({"type": "integer"}, "3.0", 3),
        ({"type": "boolean"}, "true", True),
        ({"enum": [0, False, None]}, "1", False),
        (NUMBERS, "1, 2;3\n4.5", [1, 2, 3, 4.5]),
        (NUMBERS, "[1, 2]", [1, 2]),
        (TABLE, "x,y\n1,2\n3 4", [[1, 2], [3, 4]]),
        (RECORDS, "joint,angle\nknee,12\nhip,", [{"joint": "knee", "angle": 12}, {"joint": "hip"}]),
        (RECORDS, '[{"left": true}]', [{"left": True}]),
        ({"type": "array", "items": {"type": "string"}}, "a\n\nb ", ["a", "b"]),
        ({"type": "array", "items": TABLE}, "[[[1]]]", [[[1]]]),
        ({}, '{"a": 1}', {"a": 1}),
    ],
)
def test_a_text_is_read_as_its_field_says(schema: Any, text: str, value: Any) -> None:
    found = read(schema, text=text)
    assert found.errors == {}
    assert found.document == {"x": value}


@pytest.mark.parametrize(
    ("schema", "text", "words"),
    [
        ({"type": "number"}, "", "This is needed."),
        ({"type": "number"}, "many", "“many” is no number."),
        ({"type": "number"}, "nan", "“nan” is no number."),
        ({"type": "number"}, "1e999", "“1e999” is no finite number."),
        ({"type": "number"}, "1_000", "“1_000” is no number."),
        ({"type": "number", "maximum": 3}, "4", "This has to be 3 or less."),
        ({"type": "integer"}, "2.5", "“2.5” is no whole number."),
        ({"enum": ["a"]}, "7", "Choose one of the list."),
        ({**NUMBERS, "minItems": 3}, "1 2", "2 given, 3 or more are needed."),
        (NUMBERS, '[1, "a"]', "“a” is no number."),
        (TABLE, "1 2\n3", "Rows are of different lengths: 1, 2 numbers."),
        (
            RECORDS,
            "knee,12",
            "The first line has to name the columns (joint, angle, left); “knee” is none of them.",
        ),
        (RECORDS, "angle\n1,2", "Line 2 has 2 cells, the first line 1."),
        ({}, "{", "This is no JSON: expecting property name enclosed in double quotes in line 1"),
        ({}, "[NaN]", "JSON knows no NaN; leave such values out or write null."),
        ({}, "[1e999]", "“1e999” is no finite number."),
        ({"type": "array", "items": {"type": "integer"}}, "[1e999]", "“1e999” is no finite"),
        ({}, "[" * 100_000, "This is nested too deeply."),
    ],
)
def test_what_is_wrong_is_said_at_the_field(schema: Any, text: str, words: str) -> None:
    assert read(schema, text=text).errors["/x"].startswith(words)


def test_what_was_left_empty_is_left_out() -> None:
    assert read({"type": "number"}, required=False, text="").document == {}
    assert read({"type": ["number", "null"]}, text="").document == {"x": None}


def test_an_inner_object_is_left_out_unless_something_of_it_is_given() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "number"}}, "required": ["b"]}
    schema = {"type": "object", "properties": {"a": inner}}
    group = group_of(schema)
    assert entered(group, schema, {"in:/a/b": [""]}, {}).document == {}
    assert entered(group, schema, {"in:/a/b": ["2"]}, {}).document == {"a": {"b": 2}}


def test_a_picture_is_sent_as_its_bytes() -> None:
    schema = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
    assert read(schema, text="", file=PNG).document == {"x": "iVBORw0KGgowMDAw"}
    assert read(schema, text="", file=b"no").errors["/x"].startswith("The file is no picture")
    assert read(schema, text="").errors["/x"] == "Choose a file."
    jpeg = read(schema, text="", file=b"\xff\xd8\xff0")
    assert jpeg.errors["/x"] == "The model takes image/png; the file is image/jpeg."


def test_the_example_s_picture_may_stay_in_place() -> None:
    schema = {
        "type": "object",
        "properties": {
            "x": {"type": "string", "format": "data-url", "contentMediaType": "image/*"}
        },
        "required": ["x"],
    }
    group, example = group_of(schema), {"x": "data:image/png;base64,AAAA"}
    shown = filled(group, example)
    assert shown == {"in:/x": "example"}
    kept = entered(group, schema, {"in:/x": ["example"]}, {}, example=example)
    assert (kept.document, kept.errors) == (example, {})


def test_a_fault_between_fields_is_said_of_the_whole() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "number"}}, "minProperties": 1}
    assert list(entered(group_of(schema), schema, {}, {}).errors) == [""]


def test_a_pattern_of_somebody_else_is_never_run_here() -> None:
    slow = {"type": "string", "pattern": "^(a+)+$"}
    assert read(slow, text="a" * 60 + "!").errors == {}


def test_a_schema_elsewhere_is_never_fetched() -> None:
    found = read({"$ref": "http://127.0.0.1:9/schema.json"}, text="1")
    assert (found.document, found.errors) == ({"x": 1}, {})


def test_the_form_of_the_redshift_model_takes_its_example() -> None:
    example = {"magnitudes": [18.1, 17.2, 16.9, 16.5, 16.3], "images": [[[0.5, 1]]]}
    group = group_of(REDSHIFT)
    assert fits(group, example)
    shown = filled(group, example)
    assert shown["in:/magnitudes"] == "18.1, 17.2, 16.9, 16.5, 16.3"
    texts = {name: [str(text)] for name, text in shown.items()}
    assert entered(group, REDSHIFT, texts, {}).document == example


def test_fields_stand_as_in_the_example_then_as_they_are_needed() -> None:
    known = {name: {"type": "number"} for name in "abcde"}
    schema = {"type": "object", "properties": known, "required": ["e", "b"]}
    names = [one.pointer[1:] for one in group_of(schema, {"d": 1, "b": 2}).fields()]
    assert names == ["d", "b", "e", "a", "c"]


def test_defaults_stand_in_an_empty_form() -> None:
    assert initial(group_of(REDSHIFT))["in:/precision"] == "0"


def test_a_document_with_more_than_the_form_knows_does_not_fit() -> None:
    assert not fits(group_of(REDSHIFT), {"magnitudes": [], "other": 1})


#: Machines that are busy draw slowly.
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WORDS = [
    "type",
    "properties",
    "items",
    "enum",
    "oneOf",
    "required",
    "minimum",
    "$ref",
    "allOf",
    "title",
    "contentEncoding",
    "default",
    "const",
    "maxItems",
    "x",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(WORDS),
            inner | st.sampled_from(["object", "array", "number", "string", "#", "#/items"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@QUICK
@given(JSON, st.text(max_size=12))
def test_no_schema_breaks_the_form(schema: Any, text: str) -> None:
    group = group_of(schema)
    initial(group)
    texts = {one.name: [text] for one in group.fields()}
    files = {one.file_name: text.encode() for one in group.fields()[::2]}
    found = entered(group, schema, texts, files)
    assert found.errors or json.loads(found.body) == found.document


FINITE = st.floats(allow_nan=False, allow_infinity=False)
WORD = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)
VALUES: dict[str, tuple[dict[str, Any], st.SearchStrategy[Any]]] = {
    "number": ({"type": "number"}, FINITE | st.integers(-(10**12), 10**12)),
    "integer": ({"type": "integer"}, st.integers(-(10**12), 10**12)),
    "switch": ({"type": "boolean"}, st.booleans()),
    "choice": ({"enum": [0, False, "a", None]}, st.sampled_from([0, False, "a", None])),
    "text": ({"type": "string"}, WORD),
    "numbers": (NUMBERS, st.lists(FINITE)),
    "table": (TABLE, st.lists(st.tuples(FINITE, FINITE).map(list), min_size=1)),
    "lines": ({"type": "array", "items": {"type": "string"}}, st.lists(WORD)),
    "free": ({}, st.dictionaries(WORD, st.lists(FINITE | WORD, max_size=2), max_size=3)),
}


@QUICK
@given(
    st.fixed_dictionaries({}, optional={name: values for name, (_, values) in VALUES.items()}),
    WORD,
)
def test_a_document_survives_the_form(document: dict[str, Any], name: str) -> None:
    properties = {key: VALUES[key][0] for key in document}
    inner = {"type": "object", "properties": properties, "required": list(document)}
    schema = {"type": "object", "properties": {name: inner}, "required": [name]}
    group = group_of(schema)
    whole = {name: document}
    texts = {
        key: text if isinstance(text, list) else [str(text)]
        for key, text in filled(group, whole).items()
    }
    if document:
        assert fits(group, whole)
        assert entered(group, schema, texts, {}) == Entered(whole, {})
