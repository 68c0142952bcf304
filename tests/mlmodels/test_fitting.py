"""What of a structure or a calculation fits a model's input."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labportal.common.sending import Subject
from mlmodels.fitting import Fit, fit

WATER = Subject(
    key="structure:1",
    title="S-1 water",
    url="/molecules/1/",
    values={
        "name": "water",
        "formula": "H2O",
        "symbols": ["O", "H", "H"],
        "numbers": [8, 1, 1],
        "positions": [[0.0, 0.0, 0.0], [0.7, 0.6, 0.0], [-0.7, 0.6, 0.0]],
        "pbc": [False, False, False],
        "volume": None,
    },
    aliases={"atomic_numbers": "numbers"},
    texts={"chemical/x-xyz": lambda: "3\nwater\n"},
)
POSITIONS = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3},
}


def asks(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}


def sent(schema: Any, accepts: tuple[str, ...] = ()) -> Fit | None:
    return fit(WATER, accepts, schema)


def test_fields_take_the_values_of_their_names() -> None:
    found = sent(
        asks(
            ["atomicNumbers", "positions"],
            atomicNumbers={"type": "array", "items": {"type": "integer"}},
            positions=POSITIONS,
            cell=POSITIONS,
        )
    )
    assert found is not None and found.is_whole
    assert json.loads(found.body) == {
        "atomicNumbers": [8, 1, 1],
        "positions": WATER.values["positions"],
    }


def test_an_inner_object_may_stand_for_the_whole_structure() -> None:
    found = sent(asks(["structure"], structure=asks(["positions"], positions=POSITIONS)))
    assert found is not None
    assert found.document == {"structure": {"positions": WATER.values["positions"]}}


def test_what_is_missing_is_named() -> None:
    found = sent(
        asks(
            ["positions", "charge", "spin"],
            positions=POSITIONS,
            charge={"type": "integer", "title": "Total charge"},
            spin={"type": "integer", "default": 1},
        )
    )
    assert found is not None and not found.is_whole
    assert found.missing == ("Total charge",)
    assert found.document["spin"] == 1


def test_a_value_that_only_bears_the_name_is_not_sent() -> None:
    found = sent(asks([], positions=POSITIONS, symbols={"type": "string"}))
    assert found is not None
    assert list(found.document) == ["positions"]
    needed = sent(asks(["symbols"], positions=POSITIONS, symbols={"type": "string"}))
    assert needed is not None and needed.missing == ("Symbols",)


@pytest.mark.parametrize(
    "schema",
    [
        asks(["angles"], angles={"type": "array", "items": {"type": "number"}}),
        asks(["name"], name={"type": "string"}),
        {"type": "array", "items": {"type": "number"}},
        {"type": "number"},
    ],
)
def test_a_model_that_asks_for_none_of_it_is_not_offered(schema: dict[str, Any]) -> None:
    assert sent(schema) is None


def test_a_model_that_takes_structure_files_gets_one() -> None:
    assert sent({}, ("chemical/x-xyz",)) == Fit("chemical/x-xyz", body="3\nwater\n")
    assert sent({}, ("image/png",)) is None


def test_a_model_without_a_schema_gets_everything() -> None:
    found = sent({}, ("application/json",))
    assert found is not None
    assert found.document == {"subject": "structure:1", **WATER.values}
