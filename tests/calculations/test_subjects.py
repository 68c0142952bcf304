"""Structures and results as they are sent to models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from calculations.models import Calculation, Dataset, Quantity, Run
from labportal.accounts.models import Project
from labportal.common.errors import NotFound
from labportal.common.sending import find_subject, visible_keys
from tests.calculations.factories import draft
from tests.calculations.test_structures import kept, relaxed
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db


def private(owner: Any) -> Project:
    return ProjectFactory(private=True, members=[owner])


def energy(calculation: Calculation, run: Run | None, number: float, name: str = "energy") -> None:
    Quantity.objects.create(calculation=calculation, run=run, name=name, label=name, number=number)


def test_a_structure_holds_its_atoms_by_the_names_that_models_use(ada: Any) -> None:
    row = kept(ada)
    found = find_subject(ada, f"structure:{row.pk}")
    assert found.values["symbols"] == ["O", "H", "H"]
    assert found.values["atomic_numbers"] == [8, 1, 1]
    assert found.values["positions"][1] == [0.757, 0.586, 0.0]
    assert "cell" not in found.values
    assert found.texts["chemical/x-xyz"]().startswith("3\n")
    json.dumps(found.values)


def test_a_result_holds_its_quantities_and_its_last_geometry(ada: Any) -> None:
    run = relaxed(ada)
    energy(run.calculation, run, -17.2)
    Dataset.objects.create(
        calculation=run.calculation,
        run=run,
        name="convergence",
        label="Convergence",
        kind="series",
        columns=[{"name": "step", "label": "Step", "unit": "", "values": [1, 2]}],
    )
    found = find_subject(ada, f"calculation:{run.calculation_id}")
    assert found.values["energy"] == found.values["quantities"]["energy"] == -17.2
    assert found.values["structure"]["positions"][1] == [0.76, 0.6, 0.0]
    assert found.values["datasets"] == {"final_cell": found.values["datasets"]["final_cell"]} | {
        "convergence": {"step": [1, 2]}
    }
    assert found.values["step"] == [1, 2]


def test_of_a_sweep_each_quantity_is_a_list_over_its_valid_runs(ada: Any) -> None:
    calculation = draft(ada)
    calculation.run_count = 3
    calculation.save()
    for index, state in enumerate(("valid", "failed", "valid")):
        run = Run.objects.create(calculation=calculation, index=index, state=state)
        energy(calculation, run, float(index))
    energy(calculation, None, 0.5, "slope")
    found = find_subject(ada, f"calculation:{calculation.pk}")
    assert found.values["energy"] == [0.0, 2.0]
    assert found.values["slope"] == 0.5


def test_what_one_may_not_see_is_not_found(ada: Any, eve: Any, max: Any) -> None:
    hidden = kept(ada, project=private(ada))
    open_one = kept(ada)
    key = f"structure:{hidden.pk}"
    with pytest.raises(NotFound):
        find_subject(eve, key)
    assert find_subject(max, key).key == key
    asked = [key, f"structure:{open_one.pk}", "structure:x", "calculation:99", "nothing:1", ""]
    assert visible_keys(eve, asked) == {f"structure:{open_one.pk}"}


@pytest.mark.parametrize("key", ["", "structure:", "structure:-1", "structure:9" + "9" * 90, "x:1"])
def test_a_key_that_names_nothing_is_not_found(ada: Any, key: str) -> None:
    with pytest.raises(NotFound):
        find_subject(ada, key)
