"""What the heads of pseudopotential files say, and what no reader may be led to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.software.pseudopotential import (
    PseudopotentialError,
    element_in,
    read_head,
    same_functional,
)
from tests.calculations.pseudopotentials import psf, psml, upf, upf_1

ESPRESSO = Path(os.environ.get("ESPRESSO_PSEUDO") or "/usr/share/espresso/pseudo")
SIESTA = Path(os.environ.get("SIESTA_PSEUDO") or "/nonexistent")


@pytest.mark.parametrize(
    ("name", "data", "element", "functional", "valence"),
    [
        ("Si.psf", psf("Si"), "Si", "PBE", 4.0),
        ("O.psf", psf("O", functional="ca", valence=6), "O", "LDA", 6.0),
        ("C.psml", psml("C"), "C", "PBE", 4.0),
        ("C.psml", psml("C", exchange=1, correlation=12), "C", "PW92", 4.0),
        ("Si_pbe.upf", upf("Si"), "Si", "PBE", 4.0),
        ("Si.PZ.UPF", upf("Si", functional="PZ"), "Si", "LDA", 4.0),
        ("O.pz.UPF", upf_1("O"), "O", "LDA", 6.0),
        ("Ga.upf", upf("Ga", functional="something else"), "Ga", "", 4.0),
    ],
)
def test_the_head_says_what_a_file_is(name, data, element, functional, valence):
    head = read_head(name, data)
    assert (head.element, head.functional, head.valence) == (element, functional, valence)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("Si.psf", psf("C"), "the name says Si, the head says C"),
        ("C.upf", upf("Si"), "the name says C, the head says Si"),
        ("Si.vps", b"\0\1", "binary vps"),
        ("Si.txt", b"x", "must end in"),
        ("Si.psf", b"", "is empty"),
        ("Si.psf", b"\0\1\2", "is binary"),
        ("Si.psf", b"nothing here", "no head of a psf"),
        ("Xx.psf", psf("Qq"), "no element that exists"),
        ("Si.psml", b"<psml><grid/></psml>", "no head of a psml"),
        ("Si.psml", b"<psml", "no head of a psml"),
        ("Si.psml", b"<a></b>", "no XML"),
        ("Si.upf", b"<UPF>", "no head of a UPF"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(name, data, words):
    with pytest.raises(PseudopotentialError, match=words):
        read_head(name, data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_no_entity_is_ever_expanded(encoding):
    bomb = '<!DOCTYPE x [<!ENTITY a "Si"><!ENTITY b "&a;&a;&a;">]>\n'
    text = psml("Si", extra=bomb).decode()
    if encoding == "utf-16":
        text = text.replace("UTF-8", "UTF-16")
    with pytest.raises(PseudopotentialError, match="document type"):
        read_head("Si.psml", text.encode(encoding))


@pytest.mark.parametrize(
    ("name", "element"),
    [("Si.psf", "Si"), ("si_pbe.upf", "Si"), ("O-q6.psml", "O"), ("ge3.psf", "Ge"), ("foo", "")],
)
def test_a_name_may_begin_with_an_element(name, element):
    assert element_in(name) == element


def test_functionals_are_alike_where_nobody_could_tell():
    assert same_functional("LDA", "PW92")
    assert same_functional("", "PBE")
    assert not same_functional("LDA", "PBE")


@given(
    st.sampled_from(["Si.psf", "Si.psml", "Si.upf"]), st.binary(max_size=400), st.integers(0, 700)
)
def test_noise_is_refused_in_words(name, noise, place):
    whole = {"Si.psf": psf("Si"), "Si.psml": psml("Si"), "Si.upf": upf("Si")}[name]
    try:
        assert read_head(name, whole[:place] + noise + whole[place:]).element
    except PseudopotentialError as error:
        assert str(error)


@pytest.mark.skipif(not ESPRESSO.is_dir(), reason=f"no pseudopotentials in {ESPRESSO}")
def test_the_files_of_quantum_espresso_are_understood():
    files = [path for path in sorted(ESPRESSO.iterdir()) if path.suffix.lower() == ".upf"]
    heads = {path.name: read_head(path.name, path.read_bytes()) for path in files}
    assert heads["Si.pz-vbc.UPF"].functional == "LDA"
    assert heads["O.pbe-rrkjus.UPF"].functional == "PBE"
    assert all(head.valence for head in heads.values())


@pytest.mark.skipif(not SIESTA.is_dir(), reason="SIESTA_PSEUDO names no folder")
def test_real_files_of_siesta_are_understood():
    for path in SIESTA.glob("*.psf"):
        head = read_head(path.name, path.read_bytes())
        assert (head.element, head.functional) == (path.stem, "LDA")
