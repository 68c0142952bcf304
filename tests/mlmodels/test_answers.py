"""How a model's answer is shown: as facts, tables, charts, pictures, or as the text that it is."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from django.template.loader import render_to_string
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlmodels.answers.drawing import drawn
from mlmodels.answers.parts import Drawn

PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)


def answer(value: Any, schema: Any = None) -> Drawn:
    return drawn(json.dumps(value).encode(), "application/json", schema)


def kinds(found: Drawn) -> list[str]:
    return [part.kind for part in found.parts]


def npy(values: list[float], shape: tuple[int, ...], *, fortran: bool = False) -> bytes:
    head = f"{{'descr': '<f8', 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    size = struct.pack("<H", len(head))
    return b"\x93NUMPY\x01\x00" + size + head + struct.pack(f"<{len(values)}d", *values)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"redshift": 0.42, "model": "v2"}, ["facts"]),
        (0.42, ["facts"]),
        ([0.42], ["facts"]),
        ([], ["facts"]),
        (None, ["facts"]),
        ([1, 2, 3, 4, 5, 6], ["figure"]),
        ({"x": [1, 2, 3, 4, 5], "y": [1, 4, 9, 16, 25]}, ["figure"]),
        ({"labels": ["walk", "run"], "scores": [0.1, 0.9]}, ["figure", "table"]),
        ({"walk": 0.25, "run": 0.75}, ["figure", "table"]),
        ([{"id": 1, "score": 0.5}, {"id": 2, "score": 0.7}], ["table"]),
        ([[1, 2], [3, 4]], ["table"]),
        ([[float(i * j) for i in range(16)] for j in range(16)], ["picture"]),
        ({"plot": base64.b64encode(PNG).decode()}, ["picture"]),
        (f"data:image/png;base64,{base64.b64encode(PNG).decode()}", ["picture"]),
        ("words " * 100, ["text"]),
        (["a", "b"], ["table"]),
        ([[1], [1, 2], "x"], ["text"]),
        ({"a": {"b": {"c": {"d": 1}}}}, ["text"]),
    ],
)
def test_an_answer_is_drawn_by_its_shape(value: Any, expected: list[str]) -> None:
    assert kinds(answer(value)) == expected


def test_titles_and_units_come_from_the_output_schema() -> None:
    schema = {"properties": {"e": {"title": "Energy", "unit": "eV"}}}
    (facts,) = answer({"e": -13.6}, schema).parts
    assert facts.rows == (("Energy", -13.6, "eV"),)


def test_a_series_is_drawn_along_the_one_that_is_named_for_it() -> None:
    values = [float(i) for i in range(9)]
    (chart,) = answer({"time": values, "knee_angle": values[::-1]}).parts
    assert chart.document["x"]["label"] == "Time"
    assert [y["label"] for y in chart.document["y"]] == ["Knee angle"]


def test_series_of_different_size_are_drawn_apart() -> None:
    assert kinds(answer({"a": [1.0] * 9, "b": [1e6] * 9})) == ["figure", "figure"]
    assert kinds(answer({"a": [1.0] * 9, "b": [2.0] * 9})) == ["figure"]


def test_classes_stand_by_their_scores() -> None:
    chart, table = answer({"labels": ["a", "b", "c"], "scores": [0.1, 0.7, 0.2]}).parts
    assert chart.document["x"]["values"] == ["b", "c", "a"]
    assert table.rows[0] == ("b", 0.7)


def test_csv_is_a_table_and_a_chart_of_its_numbers() -> None:
    found = drawn(b"t,angle,joint\n0,1.5,knee\n1,2.5,knee\n2,,hip\n", "text/csv; charset=utf-8")
    chart, table = found.parts
    assert chart.document["y"][0]["values"] == [1.5, 2.5, None]
    assert table.rows[2] == (2, "", "hip")
    assert [column.is_number for column in table.columns] == [True, True, False]


def test_a_picture_is_shown_as_such() -> None:
    (picture,) = drawn(PNG, "image/png").parts
    assert picture.url.startswith("data:image/png;base64,iVBOR")
    assert kinds(drawn(PNG, "application/octet-stream")) == ["picture"]


def test_an_array_of_numpy_is_read_without_numpy() -> None:
    assert drawn(npy([1, 2, 3, 4, 5, 6], (2, 3)), "application/x-npy").raw == (
        "[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]"
    )
    turned = drawn(npy([1, 2, 3, 4, 5, 6], (3, 2), fortran=True), "application/x-npy")
    assert turned.raw == "[[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]"
    assert "cut" in drawn(npy([1, 2], (3,)), "application/x-npy").note


def test_an_array_of_numpy_is_no_longer_than_its_file() -> None:
    endless = npy([], (10**12, 0))
    assert "at most 2,000,000 fit here" in drawn(endless, "application/x-npy").note
    assert drawn(npy([], (2, 0)), "application/x-npy").raw == "[[], []]"


def test_bytes_that_no_browser_shows_are_offered_as_a_file() -> None:
    found = drawn(b"\x00\xff\xfe", "application/octet-stream")
    assert (found.parts, found.note) == (
        (),
        "These are bytes that no browser shows; download them.",
    )


def test_a_long_table_says_how_much_is_not_shown() -> None:
    (table,) = answer([{"a": i, "b": "x"} for i in range(300)]).parts
    assert (len(table.rows), table.more) == (200, 100)


#: Machines that are busy draw slowly.
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(["labels", "scores", "x", ""]), inner, max_size=5
        )
    ),
    max_leaves=25,
)


@QUICK
@given(JSON, JSON)
def test_every_document_can_be_shown(value: Any, schema: Any) -> None:
    page = render_to_string("mlmodels/_answer.html", {"drawn": answer(value, schema)})
    page.encode()


@QUICK
@given(st.binary(max_size=60), st.sampled_from(["text/csv", "application/json", "text/html", ""]))
def test_all_bytes_can_be_shown(body: bytes, kind: str) -> None:
    page = render_to_string("mlmodels/_answer.html", {"drawn": drawn(body, kind)})
    page.encode()


def test_an_answer_cannot_bring_markup_into_the_page() -> None:
    page = render_to_string(
        "mlmodels/_answer.html",
        {"drawn": answer({"<b>": "<script>alert(1)</script>", "l": ["</script>"], "n": [1] * 9})},
    )
    assert "<script>alert" not in page
    assert page.count("</script>") == 1  # of the figure's own data
