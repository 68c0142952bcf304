"""The tab Predictions and the page of one prediction."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.urls import reverse

from labportal.common.storage import storage
from mlmodels.answers.brief import brief
from mlmodels.models import ModelVersion, Prediction
from tests.calculations.test_pages import as_person, page
from tests.calculations.test_structures import kept
from tests.factories import ProjectFactory
from tests.mlmodels.factories import SCHEMA, registered, version

pytestmark = pytest.mark.django_db


@pytest.fixture
def gait(ada: Any) -> ModelVersion:
    model = registered(ada, "gait", stores_bodies=True)
    output = {"properties": {"gait": {"title": "Gait"}, "cadence": {"unit": "steps/min"}}}
    return version(model, input_schema=SCHEMA, output_schema=output)


def predicted(of: ModelVersion, by: Any, **values: Any) -> Prediction:
    given = {
        "ms": 12.5,
        "input_type": "application/json",
        "input_text": '{"x": 1.5}',
        "output_type": "application/json",
        "output_text": '{"gait": "limping", "cadence": 92.3}',
        **values,
    }
    return Prediction.objects.create(model=of.model, version=of, user=by, **given)


def test_a_row_tells_in_short_what_was_asked_and_answered(gait: Any, ada: Any) -> None:
    predicted(gait, ada)
    text = page(as_person(ada), "model-detail", "gait", "predictions")
    assert "Redshift 1.5" in text
    assert "Gait limping · Cadence 92.3 steps/min" in text


def test_the_list_is_narrowed_by_words_version_and_subject(gait: Any, ada: Any, max: Any) -> None:
    water = kept(ada)
    predicted(gait, ada, subject=f"structure:{water.pk}")
    predicted(version(gait.model), max, output_text='{"gait": "typical"}')
    client = as_person(ada)
    typical = page(client, "model-detail", "gait", "predictions", text="typical")
    assert "typical" in typical and "limping" not in typical
    assert "limping" not in page(client, "model-detail", "gait", "predictions", version=2)
    assert "limping" not in page(client, "model-detail", "gait", "predictions", person="max")
    about = page(client, "model-detail", "gait", "predictions", subject=f"structure:{water.pk}")
    assert f"about S-{water.pk}" in about
    assert f'href="/molecules/{water.pk}/"' in about
    assert "typical" not in about
    none = page(client, "model-detail", "gait", "predictions", text="nowhere")
    assert "None fits." in none
    refused = client.get(
        reverse("model-detail", args=["gait", "predictions"]), {"since": "yesterday"}
    )
    assert refused.status_code == 400


def test_what_was_asked_about_a_private_structure_stays_private(
    gait: Any, ada: Any, eve: Any
) -> None:
    hidden = kept(ada, project=ProjectFactory(private=True, members=[ada]))
    one = predicted(gait, ada, subject=f"structure:{hidden.pk}")
    assert "limping" not in page(as_person(eve), "model-detail", "gait", "predictions")
    for name in ("model-prediction", "api-model-prediction-body"):
        args = ["gait", one.pk, *(["input"] if name.endswith("body") else [])]
        assert as_person(eve).get(reverse(name, args=args)).status_code == 404
        assert as_person(ada).get(reverse(name, args=args)).status_code == 200


def test_the_page_of_one_draws_both_sides(gait: Any, ada: Any) -> None:
    one = predicted(gait, ada, inference_id="walk-7")
    text = page(as_person(ada), "model-prediction", "gait", one.pk)
    assert "<dt>Redshift</dt><dd>1.5</dd>" in text
    assert "<dt>Gait</dt><dd>limping</dd>" in text
    assert "walk-7" in text


def test_a_body_in_the_file_store_is_drawn_and_downloaded(gait: Any, ada: Any) -> None:
    storage().save("models/1/predictions/a-output", io.BytesIO(b"t,x\n1,2\n2,3\n3,4\n"))
    one = predicted(
        gait,
        ada,
        output_text="",
        output_key="models/1/predictions/a-output",
        output_type="text/csv",
    )
    assert "data-plot=" in page(as_person(ada), "model-prediction", "gait", one.pk)
    url = reverse("api-model-prediction-body", args=["gait", one.pk, "output"])
    answer = as_person(ada).get(url)
    assert b"".join(answer.streaming_content) == b"t,x\n1,2\n2,3\n3,4\n"
    assert answer["Content-Disposition"].startswith("attachment")
    storage().delete("models/1/predictions/a-output")
    assert "no longer kept" in page(as_person(ada), "model-prediction", "gait", one.pk)


def test_a_page_that_a_model_answered_never_runs_as_ours(gait: Any, ada: Any) -> None:
    one = predicted(gait, ada, output_type="text/html", output_text="<script>alert(1)</script>")
    answer = as_person(ada).get(
        reverse("api-model-prediction-body", args=["gait", one.pk, "output"])
    )
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "<script>alert" not in page(as_person(ada), "model-prediction", "gait", one.pk)


def test_a_model_that_keeps_nothing_says_so(ada: Any, eve: Any) -> None:
    registered(ada, "echo")
    assert "To the settings" in page(as_person(ada), "model-detail", "echo", "predictions")
    assert "Its owner may change that" in page(
        as_person(eve), "model-detail", "echo", "predictions"
    )


def test_many_rows_cost_no_more_queries(
    gait: Any, ada: Any, django_assert_max_num_queries: Any
) -> None:
    for place in range(12):
        predicted(gait, ada, subject=f"structure:{place}")
    client = as_person(ada)
    page(client, "model-detail", "gait", "predictions")
    with django_assert_max_num_queries(20):
        page(client, "model-detail", "gait", "predictions")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ('{"z": 0.123456789}', "application/json", "Z 0.123457"),
        ("[1, 2, 3, 4, 5, 6]", "application/json", "Value"),
        ('[{"a": 1, "b": 2}, {"a": 3, "b": 4}]', "application/json", '[{"a": 1, "b": 2}'),
        ("plain words", "text/plain", "plain words"),
        ("", "image/png", "image/png"),
        ("x" * 20_000, "application/json", "x" * 119 + "…"),
    ],
)
def test_a_body_in_one_line(text: str, kind: str, words: str) -> None:
    assert brief(text, kind).startswith(words)
