"""Reading xyz text and cells."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.software.structure import (
    WATER,
    StructureError,
    read_cell,
    read_xyz,
    volume,
    write_xyz,
)


def test_water_is_read():
    structure = read_xyz(WATER)
    assert structure.formula == "H2O"
    assert structure.species == ("O", "H")
    assert structure.comment == "water"
    assert structure.atoms[1].position == (0.757, 0.586, 0.0)
    assert structure.atoms[0].number == 8


def test_the_head_may_be_left_out_and_numbers_stand_for_symbols():
    assert read_xyz("\n8 0 0 0\nh 0 0 1\n").species == ("O", "H")


def test_carbon_and_hydrogen_come_first_in_the_formula():
    assert read_xyz("O 0 0 0\nH 0 0 1\nC 0 0 2.3\nH 0 0 4").formula == "CH2O"


def test_the_cell_of_extended_xyz_is_taken():
    text = '1\nLattice="5 0 0 0 6 0 0 0 7" Properties=species:S:1:pos:R:3\nHe 0 0 0\n'
    assert read_xyz(text).cell == ((5.0, 0.0, 0.0), (0.0, 6.0, 0.0), (0.0, 0.0, 7.0))
    assert read_xyz(WATER).cell is None


def test_a_box_is_a_cell():
    assert volume(read_cell("2 3 4")) == 24.0
    assert read_cell("1,0,0\n0,2,0\n0,0,3")[2] == (0.0, 0.0, 3.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no atoms"),
        ("0\nnothing\n", "holds no atoms"),
        ("x\n", "line 1: must be the number of atoms"),
        ("O 0 0", "line 1: an atom needs"),
        ("1\nc\nO 0 nan 0", "line 3: 'nan' is out of range"),
        ("119 0 0 0", "is not a chemical symbol"),
        ("H 0 0 0\nO 9 9 9\nH 0 0.1 0", "atoms 1 and 3 are closer"),
    ],
)
def test_what_is_wrong_is_said(text, words):
    with pytest.raises(StructureError) as caught:
        read_xyz(text)
    assert words in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    for read in (read_xyz, read_cell):
        try:
            read(text)
        except StructureError as error:
            assert str(error)


BOX = 'Lattice="5 0 0 0 5 0 0 0 5"'


@pytest.mark.parametrize(
    ("comment", "atoms", "words"),
    [
        (BOX, "H 0 0 0.05\nO 0 0 4.95", "atoms 1 and 2 are closer than 0.3 Å, across the face"),
        (BOX, "H 0 0 0.05\nO 5 -5 0.1", "atoms 1 and 2 are closer"),
        ('Lattice="5 0 0 3 5 0 0 4 5"', "H 0.01 0.01 0\nO 8 5 0.05", "across the face"),
        ('Lattice="50 0 0 0 50 0 0 0 0.2"', "H 0 0 0", "the cell has no volume"),
        ('Lattice="5 0 0 0 5 0 5 5 0"', "H 0 0 0", "the cell has no volume"),
    ],
)
def test_images_of_atoms_may_not_overlap_either(comment, atoms, words):
    with pytest.raises(StructureError, match=words):
        read_xyz(f"{len(atoms.splitlines())}\n{comment}\n{atoms}\n")


def test_along_a_direction_that_does_not_repeat_there_are_no_images():
    text = f'2\n{BOX} pbc="T T F"\nH 0 0 0.05\nO 0 0 4.95\n'
    structure = read_xyz(text)
    assert structure.periodic == "TTF"
    assert 'pbc="T T F"' in write_xyz(structure)
    assert read_xyz(WATER).periodic == "FFF"
    assert read_xyz(f"1\n{BOX}\nH 0 0 0\n").periodic == "TTT"


def test_a_sheet_of_many_atoms_is_checked_at_once():
    rows = [f"C 0 {1.4 * i:.2f} {1.4 * j:.2f}" for i in range(140) for j in range(140)]
    began = time.process_time()
    assert len(read_xyz("\n".join(rows)).atoms) == 19_600
    assert time.process_time() - began < 2
