"""The scale of all lengths stretches cell and atoms alike, wherever the cell is written."""

from __future__ import annotations

import pytest

from calculations.software.siesta import Siesta
from calculations.software.structure import read_xyz

SIESTA = Siesta()
ATOMS = "2\n\nSi 0 0 0\nSi 1.3575 1.3575 1.3575\n"
CELL = "0 2.715 2.715\n2.715 0 2.715\n2.715 2.715 0"
EXTENDED = ATOMS.replace("\n\n", '\nLattice="0 2.715 2.715 2.715 0 2.715 2.715 2.715 0"\n')


@pytest.mark.parametrize("given", [{"structure": ATOMS, "cell": CELL}, {"structure": EXTENDED}])
def test_cell_and_atoms_are_stretched_alike(given):
    plain = SIESTA.structure(SIESTA.check(given))
    stretched = SIESTA.structure(SIESTA.check({**given, "scale": 1.02}))
    for before, after in zip(plain.cell, stretched.cell, strict=True):
        assert after == pytest.approx([1.02 * x for x in before])
    assert stretched.atoms[1].position == pytest.approx([1.02 * 1.3575] * 3)
    text = SIESTA.prepare(SIESTA.check({**given, "scale": 1.02}))["input.fdf"]
    assert "2.7693" in text
    assert "1.38465" in text


def test_a_scale_of_one_changes_nothing():
    given = {"structure": ATOMS, "cell": CELL}
    assert SIESTA.prepare(SIESTA.check({**given, "scale": 1.0})) == (
        SIESTA.prepare(SIESTA.check(given))
    )


def test_a_structure_that_is_put_in_is_not_stretched_again():
    parameters = SIESTA.check({"structure": ATOMS, "cell": CELL, "scale": 1.02})
    stretched = SIESTA.structure(parameters)
    again = SIESTA.check({**parameters, **SIESTA.structure_parameters(stretched)})
    assert SIESTA.structure(again).atoms[1].position == pytest.approx(stretched.atoms[1].position)
    assert read_xyz(again["structure"]).cell is not None


def test_the_scale_may_vary_and_suits_an_equation_of_state():
    scale = next(p for p in SIESTA.parameters if p.name == "scale")
    assert scale.sweepable
    equation = next(a for a in SIESTA.analyses if a.name == "equation_of_state")
    assert equation.lacks({}, ["scale"]) == ""
    assert "lattice parameter" in equation.lacks({}, ["field_y"])
