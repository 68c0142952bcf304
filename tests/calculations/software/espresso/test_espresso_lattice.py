"""What pw.x computes as plain atoms: lattices, relative units, and the way back into the form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calculations.software.espresso import Espresso
from calculations.software.espresso.form_system import LATTICES
from calculations.software.espresso.lattice import vectors
from calculations.software.structure import (
    WATER,
    Atom,
    Structure,
    StructureError,
    read_xyz,
    refuse_flat,
    refuse_overlap,
    volume,
)

ESPRESSO = Espresso()
NUMBER = st.floats(-8, 8).map(lambda value: round(value, 4))
VECTOR = st.tuples(NUMBER, NUMBER, NUMBER)


def checked(**wishes: Any) -> dict[str, Any]:
    return ESPRESSO.check({"structure": "Si 0 0 0\nSi 0.25 0.25 0.25", **wishes})


@pytest.mark.parametrize(
    ("lattice", "size"),
    [
        ("cubic", 1.0),
        ("fcc", 0.25),
        ("bcc", 0.5),
        ("hexagonal", 0.8660254 * 1.5),
        ("tetragonal", 1.5),
        ("bct", 0.75),
        ("orthorhombic", 1.2 * 1.5),
    ],
)
def test_each_lattice_has_its_volume(lattice: str, size: float) -> None:
    assert volume(vectors(lattice, 1.0, 1.2, 1.5)) == pytest.approx(size)
    assert lattice in LATTICES


def test_silicon_of_a_lattice_and_of_vectors_is_the_same_crystal() -> None:
    from calculations.structures.fingerprint import same

    by_lattice = checked(lattice="fcc", celldm=10.2, units="crystal")
    own = "-2.6988 0 2.6988\n0 2.6988 2.6988\n-2.6988 2.6988 0"
    by_vectors = checked(lattice="vectors", cell=own, units="crystal")
    one, other = ESPRESSO.structure(by_lattice), ESPRESSO.structure(by_vectors)
    assert one.cell[0] == pytest.approx((-2.6988, 0, 2.6988), abs=1e-4)
    assert same(one, other)


def test_relative_coordinates_follow_the_lattice() -> None:
    alat = ESPRESSO.structure(checked(lattice="fcc", celldm=10.0, units="alat"))
    assert alat.atoms[1].position == pytest.approx((1.322943, 1.322943, 1.322943), abs=1e-5)
    crystal = ESPRESSO.structure(checked(lattice="cubic", celldm=10.0, units="crystal", scale=1.1))
    assert crystal.atoms[1].position[0] == pytest.approx(0.25 * 5.29177 * 1.1, abs=1e-4)
    stretched = ESPRESSO.structure(
        checked(structure="Si 0 0 0\nSi 0 0 2", lattice="vectors", cell="4 5 6", scale=0.9)
    )
    assert stretched.cell[2] == pytest.approx((0, 0, 5.4))
    assert stretched.atoms[1].position == pytest.approx((0, 0, 1.8))


@given(st.lists(st.tuples(st.sampled_from(["Si", "O"]), VECTOR), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_crystal_comes_back_from_the_form(atoms: list[Any]) -> None:
    cell = ((9.5, 0.0, 0.0), (0.5, 8.0, 0.0), (0.0, 1.0, 11.0))
    one = Structure(tuple(Atom(s, p) for s, p in atoms), "", cell)
    try:
        refuse_flat(cell)
        refuse_overlap(one.atoms, 0.3, cell)
    except StructureError:
        assume(False)
    parameters = ESPRESSO.check(ESPRESSO.structure_parameters(one))
    assert ESPRESSO.structure(parameters) == one


def test_a_molecule_gets_a_box() -> None:
    water = read_xyz(WATER)
    parameters = ESPRESSO.check(ESPRESSO.structure_parameters(water))
    found = ESPRESSO.structure(parameters)
    assert found.atoms == water.atoms
    assert volume(found.cell) == 12 * 11 * 10
