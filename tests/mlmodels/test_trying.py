"""The tab Try it: the form of a model, the document that it stands for, its answer drawn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tests.calculations.test_pages import as_person, page
from tests.calculations.test_structures import kept
from tests.mlmodels.factories import registered, version

pytestmark = pytest.mark.django_db

GAIT = {
    "type": "object",
    "properties": {
        "angles": {"type": "array", "items": {"type": "number"}, "minItems": 3, "unit": "°"},
        "leg": {"enum": ["left", "right"]},
        "rate": {"type": "number", "minimum": 1, "maximum": 1000, "unit": "Hz", "default": 60},
    },
    "required": ["angles"],
}


@pytest.fixture
def gait(ada: Any) -> Any:
    model = registered(ada, "gait")
    made = version(model, input_schema=GAIT, example='{"angles": [1, 2.5, 3], "leg": "right"}')
    model.current = made
    model.save()
    return model


@pytest.fixture
def ada_browses(ada: Any) -> Client:
    return as_person(ada)


def document(client: Client, model: Any, **fields: Any) -> Any:
    return client.post(reverse("model-try-document", args=[model.name]), fields)


def test_the_page_opens_with_the_form_and_the_example_in_it(ada_browses: Client, gait: Any) -> None:
    text = page(ada_browses, "model-detail", "gait")
    assert 'name="in:/angles"' in text
    assert "1, 2.5, 3</textarea>" in text
    assert '<option value="1" selected>right</option>' in text
    assert 'data-invoke="/api/v1/models/gait/invocations"' in text
    assert "curl http://testserver/api/v1/models/gait/invocations" in text


def test_the_empty_form_has_the_schema_s_defaults(ada_browses: Client, gait: Any) -> None:
    text = page(ada_browses, "model-detail", "gait", "try", empty=1)
    assert "1, 2.5, 3" not in text
    assert 'min="1" max="1000" value="60"' in text


def test_a_filled_form_becomes_the_body_of_a_call(ada_browses: Client, gait: Any) -> None:
    fields = {"in:/angles": "1 2 3", "in:/leg": "0", "in:/rate": ""}
    answer = document(ada_browses, gait, version=1, **fields)
    assert answer.status_code == 200
    said = answer.json()
    assert json.loads(said["body"]) == {"angles": [1, 2, 3], "leg": "left"}
    assert '--data-raw \'{"angles":[1,2,3],"leg":"left"}\'' in said["snippets"]["curl"]


def test_a_file_stands_for_the_text(ada_browses: Client, gait: Any) -> None:
    upload = SimpleUploadedFile("angles.csv", b"4\n5\n6\n")
    answer = document(ada_browses, gait, **{"in:/angles": "1", "file:/angles": upload})
    assert json.loads(answer.json()["body"])["angles"] == [4, 5, 6]


def test_each_fault_is_told_at_its_field(ada_browses: Client, gait: Any) -> None:
    answer = document(
        ada_browses, gait, **{"in:/angles": "1 2", "in:/rate": "5000", "in:/leg": "9"}
    )
    assert answer.status_code == 400
    assert answer.json()["errors"] == {
        "in:/angles": "2 given, 3 or more are needed.",
        "in:/rate": "This has to be 1000 or less.",
        "in:/leg": "Choose one of the list.",
    }


def test_a_file_larger_than_a_call_is_refused(ada_browses: Client, gait: Any) -> None:
    gait.max_body_mib = 1
    gait.save()
    upload = SimpleUploadedFile("angles.csv", b"1\n" * 600_000)
    answer = document(ada_browses, gait, **{"file:/angles": upload})
    assert answer.status_code == 400
    assert answer.json()["errors"] == {"": "angles.csv is larger than the 1 MiB of a call."}


def test_a_model_without_a_schema_takes_the_body_as_it_is(ada_browses: Client, ada: Any) -> None:
    model = registered(ada, "echo")
    version(model, accepts=["text/csv", "image/png"], example="a,b\n1,2", input_schema={})
    text = page(ada_browses, "model-detail", "echo")
    assert "a,b\n1,2</textarea>" in text
    assert 'data-type="text/csv"' in text
    picture = page(ada_browses, "model-detail", "echo", "try", type="image/png")
    assert 'accept="image/png"' in picture and "<textarea" not in picture
    assert document(ada_browses, model).status_code == 400


def test_a_structure_fills_the_form(ada_browses: Client, ada: Any, eve: Any) -> None:
    model = registered(ada, "energies")
    positions = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
    schema = {
        "type": "object",
        "properties": {"positions": positions, "charge": {"type": "integer"}},
        "required": ["positions", "charge"],
    }
    version(model, input_schema=schema, example="")
    water = kept(ada)
    text = page(ada_browses, "model-detail", "energies", "try", **{"with": f"structure:{water.pk}"})
    assert "0.757, 0.586, 0.0" in text
    assert f'data-subject="structure:{water.pk}"' in text
    missing = ada_browses.get(reverse("model-detail", args=["energies", "try"]), {"with": "x:1"})
    assert missing.status_code == 404


def test_an_answer_is_drawn_with_the_titles_of_the_output_schema(
    ada_browses: Client, ada: Any
) -> None:
    model = registered(ada, "redshift")
    version(model, output_schema={"properties": {"z": {"title": "Redshift"}}})
    answer = ada_browses.post(
        reverse("model-try-answer", args=["redshift"]) + "?type=application/json",
        b'{"z": 0.42, "note": "<b>"}',
        content_type="application/octet-stream",
    )
    text = answer.content.decode()
    assert "<dt>Redshift</dt><dd>0.42</dd>" in text
    assert "&lt;b&gt;" in text


def test_a_model_without_a_version_says_so(ada_browses: Client, ada: Any) -> None:
    registered(ada, "young")
    assert "Nothing to call yet" in page(ada_browses, "model-detail", "young")
    assert document(ada_browses, registered(ada, "other")).status_code == 400


def test_a_version_is_tried_by_its_number(ada_browses: Client, gait: Any) -> None:
    version(gait)
    text = page(ada_browses, "model-detail", "gait", "try", version=2)
    assert 'data-invoke="/api/v1/models/gait/versions/2/invocations"' in text
    for number in ("9", "x", "-1", "9" * 30):
        answer = ada_browses.get(reverse("model-detail", args=["gait", "try"]), {"version": number})
        assert answer.status_code == 404


def test_the_page_asks_the_database_as_often_for_a_large_form(
    ada_browses: Client, ada: Any, django_assert_max_num_queries: Any
) -> None:
    model = registered(ada, "wide")
    many = {f"x{i}": {"type": "number"} for i in range(100)}
    version(model, input_schema={"type": "object", "properties": many})
    page(ada_browses, "model-detail", "wide")
    with django_assert_max_num_queries(16):
        page(ada_browses, "model-detail", "wide")
