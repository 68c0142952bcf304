"""Mangled, cut and random files end in a structure or in StructureError, never in anything else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calculations.software.structure import StructureError, read_xyz, write_xyz
from calculations.structures.fingerprint import fingerprints
from calculations.structures.formats import FORMATS
from calculations.structures.picture import svg
from calculations.structures.reading import read
from calculations.structures.writing import formats_of, write
from tests.calculations.structures.samples import FILES

PIECES = st.sampled_from(
    (
        *("", " ", "\n", "-", "0", "1e308", "nan", "inf", "********", "9" * 30, "'", '"', ";", "#"),
        *("%", "<", "loop_", "data_", "_atom_site_fract_x", "END\n", "%include /etc/passwd\n"),
        *("\u2028", "\x0c", "PRIMVEC\n", "Lattice=", "Cartesian\n", "Selective dynamics\n"),
        *("é", "²", "-1 -1 -1\n", "0 0 0\n"),
    )
)
MANGLES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=4)


def survives(content: str | bytes, format: str) -> None:
    try:
        structure = read(content, format=format).structure
    except StructureError as error:
        assert str(error)
        return
    again = read_xyz(write_xyz(structure))
    assert again.formula == structure.formula and again.periodic == structure.periodic
    assert len(fingerprints(again)[0]) == 64
    assert svg(structure).startswith("<svg")
    for known in formats_of(structure):
        write(structure, known)


@pytest.mark.parametrize("format", FORMATS)
@given(mangles=MANGLES)
@settings(max_examples=60, deadline=None)
def test_a_mangled_file_is_read_or_refused(
    format: str, mangles: list[tuple[float, int, str]]
) -> None:
    text = FILES[format]
    for share, gone, piece in mangles:
        place = int(share * len(text))
        text = text[:place] + piece + text[place + gone :]
    survives(text, format)


@pytest.mark.parametrize("format", FORMATS)
@given(share=st.floats(0, 1), other=st.sampled_from(sorted(FILES)))
@settings(max_examples=30, deadline=None)
def test_a_cut_file_and_a_file_of_another_format_too(format: str, share: float, other: str) -> None:
    survives(FILES[format][: int(share * len(FILES[format]))], format)
    survives(FILES[other], format)


@given(content=st.one_of(st.binary(max_size=300), st.text(max_size=300)))
@settings(max_examples=150, deadline=None)
def test_anything_at_all_is_read_or_refused(content: str | bytes) -> None:
    survives(content, "")
