"""Turned structures: distances stay, the cell stays, and atoms that would meet are refused."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.software.structure import WATER, read_xyz
from calculations.sweeps.ranges import InvalidAxis
from calculations.sweeps.rotation import read_selection, rodrigues, turned

WATER_ATOMS = read_xyz(WATER)
ALL = {"axis": [0, 0, 1], "about": "centre", "atoms": "all"}


def near(a: Any, b: Any) -> bool:
    return math.dist(a, b) < 1e-9


@given(
    st.floats(-720, 720),
    st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: math.hypot(*v) > 0.1),
    st.sampled_from(["centre", "mass", [0.5, -2, 1]]),
)
def test_distances_within_a_molecule_stay(angle: float, axis: Any, about: Any) -> None:
    found = turned(WATER_ATOMS, {"axis": axis, "about": about, "atoms": "all"}, angle)
    for i, j in combinations(range(3), 2):
        before = math.dist(WATER_ATOMS.atoms[i].position, WATER_ATOMS.atoms[j].position)
        assert math.dist(found.atoms[i].position, found.atoms[j].position) == pytest.approx(before)


def test_a_quarter_turn_about_z_brings_x_to_y() -> None:
    matrix = rodrigues([0, 0, 2], math.radians(90))
    assert near([row[0] for row in matrix], (0, 1, 0))


def test_a_point_on_the_axis_stays() -> None:
    found = turned(WATER_ATOMS, {**ALL, "about": [0, 0, 0]}, 77)
    assert near(found.atoms[0].position, WATER_ATOMS.atoms[0].position)
    assert not near(found.atoms[1].position, WATER_ATOMS.atoms[1].position)


def test_the_centre_of_mass_stays_where_it_is() -> None:
    masses = [15.999, 1.008, 1.008]

    def centre(structure: Any) -> list[float]:
        return [
            sum(m * a.position[i] for m, a in zip(masses, structure.atoms, strict=True))
            / sum(masses)
            for i in range(3)
        ]

    found = turned(WATER_ATOMS, {**ALL, "about": "mass", "axis": [1, 1, 0]}, 120)
    assert near(centre(found), centre(WATER_ATOMS))


def test_only_the_chosen_atoms_move_and_the_cell_stays() -> None:
    boxed = replace(WATER_ATOMS, cell=((9, 0, 0), (0, 9, 0), (0, 0, 9)))
    found = turned(boxed, {**ALL, "atoms": "2", "about": [0, 0, 0]}, 40)
    assert found.cell == boxed.cell
    assert [a == b for a, b in zip(found.atoms, boxed.atoms, strict=True)] == [True, False, True]


def test_atoms_that_meet_are_refused_with_the_angle() -> None:
    with pytest.raises(InvalidAxis, match=r"at 104\.5°, atoms 2 and 3 are closer than"):
        turned(WATER_ATOMS, {**ALL, "atoms": "2", "about": [0, 0, 0]}, 104.5)


def test_atoms_that_meet_an_image_in_the_next_cell_are_refused() -> None:
    pair = read_xyz('2\nLattice="3 0 0 0 9 0 0 0 9"\nH 0.1 0 0\nH 1.5 1.4 0\n')
    with pytest.raises(InvalidAxis, match="at 180°"):
        turned(pair, {**ALL, "atoms": "2", "about": [2.3, 0.7, 0]}, 180)


@pytest.mark.parametrize(
    ("text", "found"),
    [("1-3,7", "1-3,7"), (" 2 ", "2"), ("", "all"), (None, "all"), ("All", "all"), ("3-3", "3")],
)
def test_selections_are_written_in_one_way(text: Any, found: str) -> None:
    assert read_selection(text) == found


@pytest.mark.parametrize("text", ["0", "a", "1-", "3-1", "1,,2", "-1", "1;2"])
def test_selections_that_name_nothing_are_refused(text: str) -> None:
    with pytest.raises(InvalidAxis, match="names no atoms"):
        read_selection(text)


def test_an_atom_beyond_the_structure_is_named() -> None:
    with pytest.raises(InvalidAxis, match="names atom 9, but the structure has 3"):
        turned(WATER_ATOMS, {**ALL, "atoms": "2-9"}, 10)
