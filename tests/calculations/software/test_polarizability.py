"""The answer of the dipole to a field: one component, the tensor of a grid, what cannot tell."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calculations.software.base import NotComputable
from calculations.software.results import Quantity, Results
from calculations.software.siesta import Siesta

SIESTA = Siesta()
COMPUTE = next(a.compute for a in SIESTA.analyses if a.name == "polarizability")
FACTOR = 2.99792458  # Debye/(V/Å) in Å³
ALPHA = numpy.array([[1.4, 0.1, 0.0], [0.1, 1.5, -0.2], [0.0, -0.2, 1.2]])


def answer(field, alpha=ALPHA, at_rest=(0.0, 0.0, 1.8)):
    """A run in this field (V/Å) with the dipole (Debye) of the polarizability (Å³)."""
    dipole = numpy.array(at_rest) + alpha @ numpy.array(field) / FACTOR
    parameters = {f"field_{axis}": value for axis, value in zip("xyz", field, strict=True)}
    found = [
        Quantity(f"dipole_{a}", "", float(d), "Debye") for a, d in zip("xyz", dipole, strict=True)
    ]
    return parameters, Results(tuple(found))


def grid(*values):
    return [answer((x, y, z)) for x in values for y in values for z in values]


def number(results, name):
    return results.quantity(name).value


def test_the_unit_is_a_volume():
    found = COMPUTE([answer((0, 0, 0)), answer((0, 0, 1.0))])
    # 1 Debye in Cm over 1 V/Å, times 1/(4πε0) in Å³.
    per_debye = 3.33564e-30 / 1e10 * 8.9875518e9 * 1e30
    assert number(found, "polarizability") == pytest.approx(1.2 / FACTOR * per_debye, rel=1e-5)
    assert found.quantity("polarizability").unit == "Å³"
    assert found.quantity("polarizability_error") is None


def test_a_grid_of_fields_gives_the_tensor():
    found = COMPUTE(grid(-0.1, 0.0, 0.1))
    table = found.dataset("polarizability_tensor")
    tensor = numpy.array([table.column(axis).values for axis in "xyz"]).T
    assert tensor == pytest.approx(ALPHA, abs=1e-6)
    assert number(found, "polarizability") == pytest.approx(numpy.trace(ALPHA) / 3, abs=1e-6)
    own = numpy.linalg.eigvalsh(ALPHA)
    spread = sum((own[i] - own[i - 1]) ** 2 for i in range(3)) / 2
    assert number(found, "polarizability_anisotropy") == pytest.approx(math.sqrt(spread), abs=1e-6)


def test_two_axes_give_their_two_columns():
    found = COMPUTE([answer((x, y, 0.0)) for x in (0, 0.1) for y in (0, 0.1)])
    assert found.quantity("polarizability") is None
    assert number(found, "polarizability_yy") == pytest.approx(1.5)
    assert found.quantity("polarizability_zz") is None
    assert found.dataset("polarizability_tensor").column("x").values == pytest.approx((1.4, 0.1, 0))


def test_a_field_along_a_diagonal_gives_the_component_along_it():
    found = COMPUTE([answer((f, f, 0.0)) for f in (-0.1, 0.0, 0.1)])
    along = numpy.array([1, 1, 0]) / math.sqrt(2)
    assert number(found, "polarizability") == pytest.approx(along @ ALPHA @ along)
    assert "0.707" in found.quantity("polarizability").label


def test_fields_that_do_not_tell_the_axes_apart_are_refused():
    runs = [answer(f) for f in ((0, 0, 0), (0.1, 0.1, 0.0), (0.2, 0.1999999999999, 0.1))]
    with pytest.raises(NotComputable, match="tell the axes apart"):
        COMPUTE(runs)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.integers(-20, 20).map(lambda n: n / 50)] * 3),
        min_size=8,
        max_size=30,
        unique=True,
    )
)
def test_least_squares_are_those_of_numpy(fields):
    try:
        found = COMPUTE([answer(f) for f in fields])
    except NotComputable:
        return
    table = found.dataset("polarizability_tensor")
    if table is None:
        return
    columns = [axis for axis in "xyz" if axis in {column.name for column in table.columns}]
    design = numpy.array([[1.0, *(f["xyz".index(a)] for a in columns)] for f in fields])
    dipoles = numpy.array([ALPHA @ numpy.array(f) for f in fields])
    expected = numpy.linalg.lstsq(design, dipoles, rcond=None)[0][1:]
    for place, axis in enumerate(columns):
        assert table.column(axis).values == pytest.approx(expected[place], abs=1e-5)
