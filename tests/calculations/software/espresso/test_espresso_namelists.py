"""Namelists and cards: what is read, what is refused in which line, and that writing is undone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calculations.software.espresso.namelists import (
    CARDS,
    Card,
    Document,
    Namelist,
    NamelistError,
    Setting,
    read,
    write,
)
from tests.calculations.software.espresso.recorded import DATA

INPUTS = sorted(DATA.rglob("*.in"))


def test_all_that_fortran_allows_is_understood():
    text = """
! a comment
&control  calculation = 'scf' , PREFIX="it's ! no comment", tprnfor=.TRUE. ! a comment
  tstress = f
  /
 &System
  ibrav=2, celldm( 1 ) = 1.02d1
  nat = 2  ntyp=1
  ecutwfc = 20., title = 'it''s'
/
ATOMIC_SPECIES
 Si  28.086  Si.pz-vbc.UPF
# a comment

atomic_positions {crystal}
 Si 0.0 0.0 0.0
 Si 0.25 0.25 0.25  ! second
K_POINTS (automatic)
 4 4 4 1 1 1
"""
    document = read(text)
    assert [n.name for n in document.namelists] == ["CONTROL", "SYSTEM"]
    assert document.get("control", "Prefix") == "it's ! no comment"
    assert document.get("CONTROL", "tprnfor") is True
    assert document.get("CONTROL", "tstress") is False
    assert document.get("SYSTEM", "celldm(1)") == 10.2
    assert document.get("SYSTEM", "nat") == 2
    assert document.get("SYSTEM", "title") == "it's"
    assert document.get("SYSTEM", "absent") is None
    positions = document.card("ATOMIC_POSITIONS")
    assert positions.option == "crystal"
    assert positions.rows == ("Si 0.0 0.0 0.0", "Si 0.25 0.25 0.25")
    assert positions.notes == ("", "second")
    assert positions.line == 15
    assert document.card("K_POINTS").option == "automatic"
    assert document.card("CELL_PARAMETERS") is None


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_recorded_inputs_survive_writing_and_reading(path):
    document = read(path.read_text())
    assert document.get("SYSTEM", "ibrav") in (1, 2)
    assert read(write(document)) == document


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("&SYSTEM\n ibrav = 1\n", 1, "never closed"),
        ("&SYSTEM\n ibrav = 1\n&CONTROL\n/", 1, "never closed"),
        ("&SYSTEM\n ibrav 1\n/", 2, "= is missing"),
        ("&SYSTEM\n ibrav =\n/", 3, "no value"),
        ("&SYSTEM\n = 1\n/", 2, "needs a keyword"),
        ("&SYSTEM\n ibrav = 1, 2\n/", 2, "'2' is no keyword"),
        ("&SYSTEM\n ibrav = one\n/", 2, "neither a number"),
        ("&SYSTEM\n ecutwfc = nan\n/", 2, "neither a number"),
        ("&SYSTEM\n ecutwfc = 1e999\n/", 2, "neither a number"),
        ("&SYSTEM\n ibrav = 1\n IBRAV = 2\n/", 3, "already in line 2"),
        ("&SYSTEM\n title = 'abc\n/", 2, "never closed"),
        ("&SYSTEM\n/ nat = 1\n", 2, "nothing may follow"),
        ("&\n/", 1, "name of a namelist"),
        ("&A\n/\n&a\n/", 3, "already in line 1"),
        ("K_POINTS gamma\nATOMIC_SPECIES\nK_POINTS gamma", 3, "already in line 1"),
        ("hello\n", 1, "belongs to nothing"),
        ("\n\nK_POINTS gam;ma", 3, "no option"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, line, said):
    with pytest.raises(NamelistError) as refusal:
        read(text)
    assert refusal.value.line == line
    assert said in refusal.value.text


@pytest.mark.parametrize(
    "document",
    [
        Document((Namelist("SYSTEM", (Setting("title", "two\nlines"),)),)),
        Document((Namelist("SYSTEM", (Setting("ecutwfc", float("nan")),)),)),
        Document((Namelist("SYSTEM", (Setting("no key", 1),)),)),
        Document((Namelist("SYSTEM", (Setting("nat", 1), Setting("nat", 2))),)),
        Document(cards=(Card("K_POINTS", "gamma", ("! nothing",)),)),
        Document(cards=(Card("K_POINTS", "gamma", ("&SYSTEM",)),)),
        Document(cards=(Card("K_POINTS", "gamma", ("CELL_PARAMETERS",)),)),
        Document(cards=(Card("NO_CARD"),)),
    ],
)
def test_what_would_not_come_back_is_not_written(document):
    with pytest.raises(NamelistError):
        write(document)


KEYS = st.from_regex(r"[a-z_][a-z0-9_]{0,12}(\([1-9]\))?", fullmatch=True)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20),
)
WORDS = st.from_regex(r"[A-Za-z0-9.+-]{1,8}( [A-Za-z0-9.+-]{1,8}){0,3}", fullmatch=True)
NAMELISTS = st.lists(
    st.builds(
        Namelist,
        st.sampled_from(["CONTROL", "SYSTEM", "ELECTRONS", "IONS"]),
        st.lists(st.builds(Setting, KEYS, VALUES), max_size=6, unique_by=lambda s: s.key).map(
            tuple
        ),
    ),
    max_size=4,
    unique_by=lambda n: n.name,
).map(tuple)
CARD_LIST = st.lists(
    st.builds(
        lambda name, option, rows: Card(name, option, tuple(rows), ("",) * len(rows)),
        st.sampled_from(CARDS),
        st.sampled_from(["", "gamma", "alat= 10.2", "crystal_b"]),
        st.lists(WORDS.filter(lambda row: row.split()[0].upper() not in CARDS), max_size=4),
    ),
    max_size=4,
    unique_by=lambda card: card.name,
).map(tuple)


@settings(max_examples=150, deadline=None)
@given(st.builds(Document, NAMELISTS, CARD_LIST))
def test_writing_and_reading_give_the_same(document):
    assert read(write(document)) == document


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=300), st.text("&/='\"!#,.()\n ABK_POINTS019", max_size=200)))
def test_any_text_is_read_or_refused(text):
    try:
        document = read(text)
    except NamelistError as error:
        assert error.text
    else:
        assert read(write(document)) == document
