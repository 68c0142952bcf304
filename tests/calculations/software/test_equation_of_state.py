"""The Birch-Murnaghan fit finds back what made the points, and refuses what has no minimum."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calculations.software.equation_of_state import (
    EV_PER_CUBIC_ANGSTROM_IN_GPA,
    fit,
)
from calculations.software.fitting import solve


def birch_murnaghan(
    volume: float, energy: float, minimum: float, modulus: float, derivative: float
) -> float:
    """The third order as textbooks write it; modulus in GPa."""
    x = (minimum / volume) ** (2 / 3)
    bulk = modulus / EV_PER_CUBIC_ANGSTROM_IN_GPA
    return energy + 9 * minimum * bulk / 16 * (
        (x - 1) ** 3 * derivative + (x - 1) ** 2 * (6 - 4 * x)
    )


@settings(max_examples=100, deadline=None)
@given(
    minimum=st.floats(5, 2000),
    energy=st.floats(-1e4, 1e4),
    modulus=st.floats(1, 600),
    derivative=st.floats(2, 8),
    points=st.integers(4, 15),
)
def test_an_exact_equation_is_found_back(minimum, energy, modulus, derivative, points):
    volumes = [minimum * (0.93 + 0.15 * i / (points - 1)) for i in range(points)]
    energies = [birch_murnaghan(v, energy, minimum, modulus, derivative) for v in volumes]
    found = fit(volumes, energies)
    assert found.inside
    assert found.volume == pytest.approx(minimum, rel=1e-4)
    assert found.energy == pytest.approx(energy, abs=1e-5)
    assert found.bulk_modulus == pytest.approx(modulus, rel=2e-2)
    assert found.derivative == pytest.approx(derivative, abs=0.5)
    assert found.at(volumes[0]) == pytest.approx(energies[0], abs=1e-6)


def test_the_order_of_the_points_is_of_no_account():
    volumes = [36.0, 44.0, 38.0, 42.0, 40.0]
    energies = [birch_murnaghan(v, -100.0, 40.5, 95.0, 4.2) for v in volumes]
    found = fit(volumes, energies)
    assert found.volume == pytest.approx(40.5, rel=1e-9)
    assert found.bulk_modulus == pytest.approx(95.0, rel=1e-6)
    assert found.derivative == pytest.approx(4.2, rel=1e-6)
    assert found.rms == pytest.approx(0.0, abs=1e-9)


def test_three_points_give_the_second_order_without_a_derivative():
    volumes = [39.0, 40.0, 41.0]
    found = fit(volumes, [birch_murnaghan(v, -5.0, 40.0, 95.0, 4.0) for v in volumes])
    assert found.volume == pytest.approx(40.0, rel=1e-6)
    assert found.bulk_modulus == pytest.approx(95.0, rel=1e-3)
    assert found.derivative is None


def test_a_minimum_beyond_the_points_is_told():
    volumes = [42.0, 43.0, 44.0, 45.0]
    found = fit(volumes, [birch_murnaghan(v, -5.0, 40.0, 95.0, 4.0) for v in volumes])
    assert not found.inside
    assert found.volume < 42.0


@pytest.mark.parametrize(
    ("volumes", "energies"),
    [
        ([], []),
        ([40.0, 41.0], [1.0, 2.0]),
        ([40.0, 40.0, 40.0], [1.0, 2.0, 3.0]),
        ([40.0, 41.0, 42.0], [1.0, 2.0, 1.0]),  # a maximum
        ([40.0, 41.0, math.nan], [1.0, 2.0, 3.0]),
        ([40.0, 41.0, 42.0], [1.0, math.inf, 3.0]),
        ([-40.0, 41.0, 42.0], [1.0, 0.0, 3.0]),
        ([0.0, 41.0, 42.0], [1.0, 0.0, 3.0]),
    ],
)
def test_what_has_no_minimum_is_not_fitted(volumes, energies):
    assert fit(volumes, energies) is None


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.floats(), st.floats()),
            st.tuples(st.floats(1e-3, 1e9), st.floats(-1e12, 1e12)),
        ),
        max_size=8,
    )
)
def test_any_points_are_survived(points):
    found = fit([v for v, _ in points], [e for _, e in points])
    if found is not None:
        assert found.bulk_modulus > 0
        assert math.isfinite(found.at(points[0][0]))


def test_lists_of_unequal_length_are_an_error():
    with pytest.raises(ValueError, match="2 volumes"):
        fit([1.0, 2.0], [1.0])


def test_least_squares_are_those_of_a_polynomial():
    x = [-1.0, -0.5, 0.0, 0.5, 1.0]
    rows = [[v**power for power in range(4)] for v in x]
    found = solve(rows, [1 + 2 * v - 3 * v**2 + 0.5 * v**3 for v in x])
    assert found == pytest.approx((1.0, 2.0, -3.0, 0.5))
    assert solve([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]], [1.0, 2.0, 3.0]) is None
