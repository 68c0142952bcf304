"""One structure has one fingerprint: whatever the order, the place, the rounding, the format."""

from __future__ import annotations

import math
import random
import time
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calculations.software.structure import (
    Atom,
    Structure,
    StructureError,
    Vector,
    refuse_overlap,
)
from calculations.structures.fingerprint import fingerprint, fingerprints, same
from calculations.structures.reading import read
from calculations.structures.writing import formats_of, write
from tests.calculations.structures.samples import CIF, FILES, POSCAR, structure

COORDINATE = st.floats(-6, 6).map(lambda value: round(value, 3))
PLACE = st.tuples(COORDINATE, COORDINATE, COORDINATE)
CELL = ((9.1, 0.0, 0.0), (1.3, 8.7, 0.0), (-0.8, 2.1, 10.3))


@st.composite
def structures(draw: st.DrawFn) -> Structure:
    atoms = draw(
        st.lists(st.tuples(st.sampled_from(["H", "C", "O"]), PLACE), min_size=1, max_size=8)
    )
    cell = draw(st.sampled_from([None, CELL]))
    found = structure([s for s, _ in atoms], [p for _, p in atoms], cell)
    try:
        refuse_overlap(found.atoms, 1.0, cell)
    except StructureError:
        assume(False)
    return found


def moved(one: Structure, shifts: list[Vector]) -> Structure:
    atoms = tuple(
        Atom(a.symbol, (a.position[0] + s[0], a.position[1] + s[1], a.position[2] + s[2]))
        for a, s in zip(one.atoms, shifts, strict=True)
    )
    return replace(one, atoms=atoms)


def alike(one: Structure, other: Structure) -> bool:
    """Whether the atoms lie the same way, within 0.05 Å, but for their order and a translation."""
    cell = np.array(one.cell) if one.cell else None

    def meet(p: Any, q: Any) -> bool:
        apart = p - q
        if cell is not None:
            shares = apart @ np.linalg.inv(cell)
            apart = (shares - shares.round()) @ cell
        return bool(np.linalg.norm(apart) < 0.05)

    here, there = (
        [(atom.symbol, np.array(atom.position)) for atom in each.atoms] for each in (one, other)
    )
    shifts = [place - here[0][1] for symbol, place in there if symbol == here[0][0]]
    return any(
        all(any(s == t and meet(p + shift, q) for t, q in there) for s, p in here)
        for shift in shifts
    )


@given(structures(), PLACE, st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_order_and_translation_do_not_matter(
    one: Structure, shift: Vector, chance: random.Random
) -> None:
    shifts = []
    for _ in one.atoms:
        steps = [chance.randint(-2, 2) if one.cell else 0 for _ in range(3)]
        cell = one.cell or CELL
        whole = [sum(steps[n] * cell[n][axis] for n in range(3)) for axis in range(3)]
        shifts.append(tuple(a + b for a, b in zip(whole, shift, strict=True)))
    other = moved(one, shifts)
    atoms = list(other.atoms)
    chance.shuffle(atoms)
    assert same(replace(other, atoms=tuple(atoms)), one)


@given(structures(), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_rounding_does_not_matter(one: Structure, chance: random.Random) -> None:
    noise = [tuple(chance.uniform(-5e-6, 5e-6) for _ in range(3)) for _ in one.atoms]
    assert same(moved(one, noise), one)


@given(structures(), st.floats(0.1, 0.6), PLACE, st.data())
@settings(max_examples=80, deadline=None)
def test_an_atom_that_moved_makes_another_structure(
    one: Structure, length: float, direction: Vector, data: st.DataObject
) -> None:
    assume(len(one.atoms) > 1 and math.hypot(*direction) > 0.1)
    chosen = data.draw(st.integers(0, len(one.atoms) - 1))
    step = tuple(length * x / math.hypot(*direction) for x in direction)
    shifts = [step if i == chosen else (0.0, 0.0, 0.0) for i in range(len(one.atoms))]
    other = moved(one, shifts)
    assume(not alike(one, other))  # in a crystal it may only have changed places with its like
    assert not same(other, one)


@given(structures())
@settings(max_examples=40, deadline=None)
def test_another_element_makes_another_structure(one: Structure) -> None:
    first = replace(one.atoms[0], symbol="N")
    assert not same(replace(one, atoms=(first, *one.atoms[1:])), one)


def test_a_step_in_a_crystal_of_high_symmetry_is_felt() -> None:
    """There the sums of all pairs change with the square of the step alone."""
    one = structure(
        ["Al"] * 32,
        [
            (4.05 * (i + x), 4.05 * (j + y), 4.05 * (k + z))
            for i, j, k in product((0, 1), repeat=3)
            for x, y, z in ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))
        ],
        ((8.1, 0, 0), (0, 8.1, 0), (0, 0, 8.1)),
    )
    for step in ((0.03, 0, 0), (0, 0.02, 0.02)):
        shifts = [step] + [(0.0, 0.0, 0.0)] * 31
        assert not same(moved(one, shifts), one)


@pytest.mark.parametrize("source", ["cif", "vasp"])
def test_every_format_of_a_crystal_is_the_same_crystal(source: str) -> None:
    one = read(FILES[source]).structure
    for format in set(formats_of(one)) - {"xyz", "pdb"}:  # which keep no cell, or three decimals
        assert same(read(write(one, format), format=format).structure, one), format


def test_a_molecule_that_was_turned_or_mirrored_is_another() -> None:
    water = read(FILES["xyz"]).structure
    turned = replace(
        water,
        atoms=tuple(
            Atom(a.symbol, (a.position[1], a.position[2], a.position[0])) for a in water.atoms
        ),
    )
    upside_down = replace(
        water,
        atoms=tuple(
            Atom(a.symbol, (a.position[0], -a.position[1], a.position[2])) for a in water.atoms
        ),
    )
    assert len({fingerprint(s) for s in (water, turned, upside_down)}) == 3


def test_a_crystal_that_was_turned_with_its_axes_is_the_same() -> None:
    one = read(POSCAR).structure

    def turn(v: Vector) -> Vector:
        return (0.6 * v[0] - 0.8 * v[1], 0.8 * v[0] + 0.6 * v[1], v[2])

    atoms = tuple(Atom(a.symbol, turn(a.position)) for a in one.atoms)
    a, b, c = one.cell
    assert same(replace(one, atoms=atoms, cell=(turn(a), turn(b), turn(c))), one)


def test_parts_far_from_each_other_are_not_forgotten() -> None:
    def pair(distance: float, cell: object = None) -> Structure:
        places = [(0, 0, 0), (0, 0, 0.74), (distance, 0, 0), (distance, 0, 0.74)]
        return structure(["H"] * 4, places, cell)  # type: ignore[arg-type]

    box = ((40.0, 0, 0), (0, 40.0, 0), (0, 0, 40.0))
    assert not same(pair(15.0), pair(15.3))
    assert not same(pair(15.0, box), pair(15.3, box))


def test_atoms_out_of_each_others_reach_do_not_move_unseen() -> None:
    """Along the crests of one wave, where all pairs are too far apart to count."""
    wave = (0.53, 0.29, 0.41)
    far, sideways = (6.0, 1.0, -1.0), (wave[1] / 2, -wave[0] / 2, 0.0)
    one = structure(["H", "H"], [(0.0, 0.0, 0.0), far])
    assert not same(moved(one, [sideways, (0.0, 0.0, 0.0)]), one)


def test_a_cell_around_a_molecule_makes_another_structure() -> None:
    water = read(FILES["xyz"]).structure
    assert not same(replace(water, cell=CELL), water)
    assert not same(replace(water, cell=CELL, pbc="TTF"), replace(water, cell=CELL))


def test_there_are_never_many_alternatives() -> None:
    assert 1 <= len(fingerprints(read(CIF).structure)) <= 64


def test_twenty_thousand_atoms_take_about_a_second() -> None:
    side = 27
    places = [(2.0 * i, 2.0 * j, 2.0 * k) for i, j, k in product(range(side), repeat=3)]
    length = 2.0 * side
    one = structure(
        ["Na", "Cl"] * (len(places) // 2) + ["Na"],
        places,
        ((length, 0, 0), (0, length, 0), (0, 0, length)),
    )
    fingerprint(read(POSCAR).structure)  # the libraries are loaded once
    began = time.process_time()
    fingerprint(one)
    assert time.process_time() - began < 2


def test_no_hostile_cell_takes_long() -> None:
    atoms = [(0.0, 0, 0), (0, 0, 1.0), (1.0, 0, 0)]
    began = time.process_time()
    for cell in (
        ((1e4, 0, 0), (9e3, 30, 0), (5e3, 8e3, 30)),
        ((1e4, 0, 0), (0, 1e4, 0), (0, 0, 1e4)),
        ((1e4, 0, 0), (9e3, 1, 0), (5e3, 8e3, 0.5)),
    ):
        fingerprint(structure(["H"] * 3, atoms, cell))  # type: ignore[arg-type]
    assert time.process_time() - began < 6
