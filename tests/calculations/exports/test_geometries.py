"""Structures of a set as extended xyz, as ASE reads them."""

from __future__ import annotations

import io
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from ase.io import read

from calculations.models import Calculation, Dataset, Quantity
from tests.calculations.exports.conftest import vouch
from tests.calculations.report.siesta import silicon_bands, water_in_fields

Exported = Callable[..., BytesIO]


def frames(stream: BytesIO) -> list[Any]:
    return read(io.StringIO(stream.getvalue().decode()), index=":", format="extxyz")


def test_each_run_is_a_frame_with_its_energy(
    water: Calculation, ada: Any, exported: Exported
) -> None:
    found = frames(exported("structures-xyz", ada))
    energies = [run.main_value for run in water.runs.order_by("index")]
    assert [atoms.get_potential_energy() for atoms in found] == pytest.approx(energies)
    assert found[0].get_chemical_formula() == "H2O"
    assert found[0].info["software"] == "pyscf" and found[0].info["run"] == 1
    assert not found[0].pbc.any()


def test_forces_and_the_cell_come_along(ada: Any, exported: Exported) -> None:
    for calculation in (water_in_fields(ada), silicon_bands(ada)):
        vouch(calculation)
    *water, silicon = frames(exported("structures-xyz", ada))
    held = Dataset.objects.get(run__calculation__name="Bands of silicon", name="forces")
    by_name = {column["name"]: column["values"] for column in held.columns}
    assert silicon.get_forces()[:, 0].tolist() == pytest.approx(by_name["x"])
    assert silicon.pbc.all() and silicon.cell.volume == pytest.approx(40.0257, abs=1e-3)
    assert len(water) == 5 and water[0].get_forces().shape == (3, 3)
    assert silicon.get_potential_energy() == pytest.approx(-214.62305, abs=1e-4)


def test_an_energy_in_another_unit_is_given_in_ev(
    water: Calculation, ada: Any, exported: Exported
) -> None:
    Quantity.objects.filter(calculation=water, name="total_energy").update(unit="Ha", number=-76.0)
    (first, *_) = frames(exported("structures-xyz", ada))
    assert first.get_potential_energy() == pytest.approx(-76.0 * 27.211386, rel=1e-6)


def test_words_cannot_break_a_frame(water: Calculation, ada: Any, exported: Exported) -> None:
    words = 'a "b" c\n3\nLattice="1 2 3" \\ =x'
    Quantity.objects.create(
        calculation=water, run=water.runs.get(index=0), name="note", label="N", text=words
    )
    found = frames(exported("structures-xyz", ada))
    assert len(found) == 5 and "Lattice" in found[0].info["note"]
