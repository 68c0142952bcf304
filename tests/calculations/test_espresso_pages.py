"""Quantum ESPRESSO in the portal: its form, its preview, and a chain that carries the density."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from calculations.models import Calculation
from calculations.services import execution, results, submission
from calculations.services.preview import prepared
from calculations.software.registry import get_software
from calculations.states import CalculationState
from tests.calculations.factories import draft
from tests.calculations.outcomes import begin
from tests.calculations.software.espresso.recorded import DATA, ESPRESSO, SILICON
from tests.clusters.factories import cluster, finished
from tests.factories import default_project

pytestmark = pytest.mark.django_db

LATTICE = {"parameter": "celldm", "values": [10.0, 10.1, 10.2, 10.3, 10.4], "mode": "chain"}


@pytest.fixture
def ada_browses(client: Client, ada: Any) -> Client:
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    return client


def silicon(actor: Any, **wishes: Any) -> Any:
    values = {"software": "espresso", "name": "Silicon", "parameters": SILICON, "analyses": []}
    return draft(actor, **values | wishes)


def test_the_form_opens_with_its_groups(ada_browses: Client) -> None:
    answer = ada_browses.get(reverse("calculation-new"), {"software": "espresso"})
    assert answer.status_code == 200
    text = answer.content.decode()
    for words in ("Quantum ESPRESSO", "Lattice parameter", "Total magnetisation, fixed", "Ry"):
        assert words in text


def entered(**changes: Any) -> dict[str, Any]:
    """What a browser sends: every field, empty where nothing was entered."""
    values = {p.name: p.default for p in ESPRESSO.parameters} | SILICON | changes
    fields = {f"p_{n}": "" if v is None else v for n, v in values.items() if v is not False}
    resources = {"cores": 1, "memory_gib": 1, "walltime_min": 10}
    named = {"software": "espresso", "name": "Silicon", "project": default_project().slug}
    return {**fields, **resources, **named, "verb": "save"}


def test_the_form_stores_a_draft(ada_browses: Client, ada: Any) -> None:
    answer = ada_browses.post(reverse("calculation-new"), entered())
    assert answer.status_code == 302
    made = Calculation.objects.get()
    assert made.parameters == ESPRESSO.check(SILICON)


def test_what_the_form_refuses_stands_at_its_field(ada_browses: Client, ada: Any) -> None:
    answer = ada_browses.post(reverse("calculation-new"), entered(c_over_a=2))
    assert answer.status_code == 400
    assert "is not used by this lattice" in answer.content.decode()


def test_a_chain_of_the_lattice_parameter_carries_the_density(ada: Any) -> None:
    made = silicon(ada, sweep=LATTICE, analyses=["energy", "equation_of_state"])
    assert made.state == CalculationState.DRAFT
    espresso = get_software("espresso")
    assert made.sweep["carry"] == list(espresso.carry)
    files = [prepared(espresso, made.parameters, made.sweep, i)["input.in"] for i in range(3)]
    assert ["startingpot = 'file'" in text for text in files] == [False, True, True]
    assert "celldm(1) = 10.1" in files[1]


def test_the_page_of_a_draft_shows_its_input(ada: Any, ada_browses: Client) -> None:
    made = silicon(ada, sweep=LATTICE)
    answer = ada_browses.get(reverse("calculation-detail", args=[made.pk, "inputs"]))
    assert answer.status_code == 200
    assert "ATOMIC_POSITIONS" in answer.content.decode()


def test_a_finished_sweep_shows_its_equation_of_state(ada: Any, ada_browses: Client) -> None:
    made = silicon(ada, sweep=LATTICE, analyses=["energy", "equation_of_state"])
    submission.submit(made, actor=ada)
    hardware = cluster()
    for run, value in zip(made.runs.order_by("index"), LATTICE["values"], strict=True):
        begun = begin(run, hardware)
        found = ESPRESSO.extract(DATA / f"silicon_lattice_sweep/celldm_{value}").to_json()
        with transaction.atomic():
            execution.accept([(begun, {**finished("valid"), "results": found})], agent="metis")
    results.analyse(made.pk)
    made.refresh_from_db()
    assert made.state == CalculationState.VALID
    text = ada_browses.get(
        reverse("calculation-detail", args=[made.pk, "results"])
    ).content.decode()
    for words in ("Equation of state", "Bulk modulus", "Volume at the minimum", "10.21"):
        assert words in text
