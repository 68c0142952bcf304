"""What varies, from the form to what is stored and back."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from calculations.axis_fields import field_of_error, initial_of_sweep, sweep_said
from calculations.models import Structure
from calculations.services.sweeps import plan_of
from calculations.software.structure import WATER
from tests.calculations.factories import draft
from tests.factories import default_project

STORED = [
    {
        "axes": [
            {"parameter": "field", "values": [0.0, 0.5, 1.0], "direction": [0.0, 1.0, 0.0]},
            {"parameter": "spin", "values": ["polarized", "non-colinear"]},
        ],
        "mode": "chain",
        "along": 0,
        "direction": "backward",
        "carry": ["*.DM"],
    },
    {
        "axes": [
            {
                "parameter": "rotation",
                "values": [0.0, 10.0, 90.0],
                "axis": [0.0, 0.0, 1.0],
                "about": [0.0, 0.5, 1.0],
                "atoms": "1-3,7",
            },
            {"parameter": "structure", "values": ["a", "b"], "structures": [4, 9]},
        ],
        "mode": "independent",
    },
]


@pytest.fixture
def ada_browses(ada: Any, client: Client) -> Client:
    client.force_login(ada)
    return client


@pytest.mark.parametrize("sweep", STORED)
def test_the_form_shows_what_is_stored_and_says_it_again(sweep: dict[str, Any]) -> None:
    from calculations.software.registry import get_software
    from calculations.sweeps.reading import KnownStructure, read_sweep

    said = sweep_said(initial_of_sweep(sweep))
    water: Any = None
    known = [KnownStructure(4, "a", water), KnownStructure(9, "b", water)]
    assert read_sweep(get_software("siesta"), said or {}, find=lambda _: known) == sweep


def test_a_gap_between_axes_closes() -> None:
    said = {"vary": "", "vary2": "charge", "vary2_values": "1 2", "vary_mode": "independent"}
    assert sweep_said(said) == {
        "axes": [{"parameter": "charge", "values": "1 2"}],
        "mode": "independent",
    }
    assert field_of_error(said, "sweep.axes.0.values") == "vary2_values"
    assert field_of_error(said, "sweep.axes.0.parameter") == "vary2"
    assert sweep_said({"vary": ""}) is None


@pytest.mark.django_db
def test_structures_of_the_project_are_varied_and_others_refused(
    ada: Any, ada_browses: Client
) -> None:
    rows = [
        Structure.objects.create(
            project=default_project(),
            name=name,
            content=WATER.replace("0.757", x),
            formula="H2O",
            elements=["H", "O"],
            atom_count=3,
            fingerprint=name,
            created_by=ada,
        )
        for name, x in (("bent", "0.757"), ("wide", "0.9"))
    ]
    keys = [row.pk for row in rows]
    sweep = {"axes": [{"parameter": "structure", "structures": keys}]}
    made = draft(ada, software="pyscf", sweep=sweep)
    assert made.sweep["axes"][0]["values"] == ["bent", "wide"]
    texts = [run.parameters["geometry"] for run in plan_of(made)]
    assert "0.9000000000" in texts[1] and "0.9000000000" not in texts[0]
    text = ada_browses.get(f"/calculations/{made.pk}/edit/").content.decode()
    assert f'<option value="{keys[0]}" selected>' in text
    with pytest.raises(Exception, match="S-99999 is not a structure of this project"):
        draft(
            ada,
            software="pyscf",
            sweep={"axes": [{"parameter": "structure", "structures": [99999]}]},
        )


@pytest.mark.django_db
def test_a_combination_that_a_program_refuses_is_named(ada: Any) -> None:
    with pytest.raises(Exception, match=r"at charge 1 e.*Unpaired electrons must be an odd number"):
        draft(ada, software="pyscf", sweep={"parameter": "charge", "values": [0, 1]})
    made = draft(ada, software="pyscf", sweep={"parameter": "charge", "values": [-2, 0, 2]})
    assert made.run_count == 3


@pytest.mark.django_db
def test_a_turned_selection_stores_each_runs_atoms(ada: Any) -> None:
    axis = {"parameter": "rotation", "values": [0, 90], "atoms": "2-3", "about": [0, 0, 0]}
    made = draft(ada, software="siesta", sweep={"axes": [axis]})
    first, second = plan_of(made)
    assert first.parameters["structure"] != second.parameters["structure"]
    assert second.parameters["cell"] == ""
