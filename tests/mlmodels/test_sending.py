"""Structures and results sent to models, and the answers beside them."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from calculations.models import Calculation, Quantity, Run
from mlmodels.models import ModelVersion, Prediction
from mlmodels.states import Desired, ModelState
from tests.calculations.factories import draft
from tests.calculations.test_pages import as_person, page
from tests.calculations.test_structures import kept
from tests.factories import ProjectFactory
from tests.mlmodels.factories import registered, version

pytestmark = pytest.mark.django_db

POSITIONS = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
ATOMS = {
    "type": "object",
    "properties": {
        "symbols": {"type": "array", "items": {"type": "string"}},
        "positions": POSITIONS,
    },
    "required": ["symbols", "positions"],
}


def answering(by: Any, name: str, schema: Any, **values: Any) -> ModelVersion:
    """A model that answers calls, or would."""
    model = registered(by, name)
    made = version(model, input_schema=schema, example="", **values)
    model.refresh_from_db()
    model.current, model.desired, model.state = made, Desired.RUNNING, ModelState.READY
    model.save()
    return made


def wanted(by: Any, model: str, subject: str) -> Any:
    return as_person(by).get(reverse("api-model-input", args=[model]), {"subject": subject})


def valid(by: Any, **wishes: Any) -> Calculation:
    found = draft(by, **wishes)
    run = Run.objects.create(calculation=found, state="valid")
    Quantity.objects.create(
        calculation=found, run=run, name="total_energy", label="Energy", number=-17.2, unit="eV"
    )
    Calculation.objects.filter(pk=found.pk).update(state="valid")
    found.refresh_from_db()
    return found


def test_a_structure_becomes_the_body_of_a_call(ada: Any) -> None:
    answering(ada, "energies", ATOMS)
    water = kept(ada)
    said = wanted(ada, "energies", f"structure:{water.pk}").json()
    assert said["content_type"] == "application/json"
    assert said["body"].startswith('{"symbols": ["O", "H", "H"]')
    assert said["missing"] == []


def test_what_cannot_be_sent_is_refused_in_words(ada: Any, eve: Any) -> None:
    answering(ada, "walks", {"type": "object", "properties": {"angles": {"type": "number"}}})
    hidden = kept(ada, project=ProjectFactory(private=True, members=[ada]))
    refused = wanted(ada, "walks", f"structure:{hidden.pk}")
    assert refused.status_code == 409
    assert "asks for nothing that" in refused.json()["detail"]
    assert wanted(eve, "walks", f"structure:{hidden.pk}").status_code == 404
    assert wanted(ada, "walks", "").status_code == 400
    registered(ada, "young")
    assert wanted(ada, "young", f"structure:{hidden.pk}").status_code == 409


def test_a_structure_offers_the_models_that_take_it(ada: Any) -> None:
    answering(ada, "energies", ATOMS)
    charged = {**ATOMS, "properties": {**ATOMS["properties"], "charge": {"type": "integer"}}}
    answering(ada, "charges", {**charged, "required": ["positions", "charge"]})
    answering(ada, "walks", {"type": "object", "properties": {"angles": {"type": "number"}}})
    stopped = answering(ada, "resting", ATOMS).model
    stopped.state = ModelState.STOPPED
    stopped.save()
    water = kept(ada)
    text = page(as_person(ada), "molecule-detail", water.pk)
    assert 'data-send="/api/v1/models/energies/invocations"' in text
    assert 'data-send="/api/v1/models/charges' not in text
    assert "needs Charge" in text
    assert f"/models/charges/try/?with=structure:{water.pk}" in text
    assert 'data-send="/api/v1/models/resting' not in text
    assert "walks" not in text


def test_answers_stand_beside_the_structure(ada: Any, eve: Any) -> None:
    made = answering(ada, "energies", ATOMS, output_schema={"properties": {"e": {"unit": "eV"}}})
    water = kept(ada)
    for number in range(6):
        Prediction.objects.create(
            model=made.model,
            version=made,
            user=ada,
            subject=f"structure:{water.pk}",
            input_type="application/json",
            output_type="application/json",
            output_text=f'{{"e": {number}.5}}',
        )
    text = page(as_person(eve), "molecule-detail", water.pk)
    assert "E 5.5 eV" in text
    assert "E 0.5 eV" not in text and "older ones stand with each model" in text


def test_a_result_is_offered_once_it_is_valid(ada: Any) -> None:
    schema = {"type": "object", "properties": {"total_energy": {"type": "number"}}}
    answering(ada, "judge", schema)
    found = valid(ada)
    text = page(as_person(ada), "calculation-detail", found.pk)
    assert f'data-sending="calculation:{found.pk}"' in text
    body = wanted(ada, "judge", f"calculation:{found.pk}").json()["body"]
    assert body == '{"total_energy": -17.2}'
    assert "data-sending" not in page(as_person(ada), "calculation-detail", draft(ada).pk)


def test_without_models_the_pages_say_nothing_of_them(ada: Any) -> None:
    assert "models-about" not in page(as_person(ada), "molecule-detail", kept(ada).pk)


def test_more_models_cost_no_more_queries(
    ada: Any, django_assert_max_num_queries: Any, django_assert_num_queries: Any
) -> None:
    water = kept(ada)
    client = as_person(ada)
    answering(ada, "energies-0", ATOMS)
    page(client, "molecule-detail", water.pk)
    with django_assert_max_num_queries(40) as counted:
        page(client, "molecule-detail", water.pk)
    for number in range(1, 5):
        answering(ada, f"energies-{number}", ATOMS)
    with django_assert_num_queries(len(counted)):
        page(client, "molecule-detail", water.pk)
