"""Reading and writing fdf: errors name their line, and what is written is read back the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.software.siesta import fdf
from calculations.software.siesta.fdf import Entry, FdfError

DATA = Path(__file__).parents[3] / "data" / "siesta"
BROKEN = DATA / "bad_keyword_block" / "input.fdf"
READABLE = sorted(path for path in DATA.rglob("input.fdf") if path != BROKEN)


def test_labels_compare_without_case_and_signs():
    document = fdf.read("Mesh_Cut-off 100 Ry\n")
    assert document.get("meshcutoff").words == ["100", "Ry"]
    assert document.get("MESH.CUTOFF").value == "100 Ry"
    assert document.get("other") is None


@pytest.mark.parametrize("sign", "#!;")
def test_comments_end_a_line(sign):
    document = fdf.read(f"{sign} only words\nSpin polarized {sign} and so on\n")
    assert [entry.content for entry in document] == [("spin", "polarized", None, "")]


def test_quotes_protect_words_and_the_signs_of_comments():
    entry = fdf.read("SystemName \"two words # no comment\" 'x'\n").get("SystemName")
    assert entry.words == ["two words # no comment", "x"]


def test_separators_are_those_of_fdf():
    assert fdf.read("MeshCutoff = 100, Ry\n").get("MeshCutoff").words == ["100", "Ry"]
    assert fdf.read("MeshCutoff: 100 Ry").get("MeshCutoff").words == ["100", "Ry"]


def test_a_keyword_alone_is_true():
    assert fdf.read("WriteForces").get("WriteForces").value == ""


def test_blocks_keep_their_rows_without_comments():
    text = "%Block Lattice_Vectors\n 1 0 0 # a\n\n 0 1 0\n 0 0 1\n%ENDBLOCK latticevectors\n"
    assert fdf.read(text).get("LatticeVectors").rows == ("1 0 0", "0 1 0", "0 0 1")


def test_includes_are_recognised():
    document = fdf.read("MeshCutoff < other.fdf\n%include more.fdf\n%block A < rows.fdf\n")
    assert [(entry.include, entry.line) for entry in document] == [
        ("other.fdf", 1),
        ("more.fdf", 2),
        ("rows.fdf", 3),
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("Spin polarized\n%block A\n 1\n", 2, "never closed"),
        ("%block A\n1\n%block B\n2\n%endblock B\n", 3, "still open"),
        ("%block A\n1\n%endblock B\n", 3, "does not end block A"),
        ("Spin a\n\nspi-n b\n", 3, "already in line 1"),
        ("a 1\n%block A\n%endblock A\n", 2, "already in line 1"),
        ("%endblock A\n", 1, "ends no block"),
        ("%block\n", 1, "needs a name"),
        ("%block A b c\n", 1, "nothing may follow"),
        ("x 1\n%blok A\n", 2, "not a directive"),
        ("%include\n", 1, "needs the name of a file"),
        ("a 1\n= 3\n", 2, "keyword is missing"),
    ],
)
def test_errors_name_their_line(text, line, words):
    with pytest.raises(FdfError) as caught:
        fdf.read(text)
    assert caught.value.line == line
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"line {line}:")


@pytest.mark.parametrize("entry", [Entry("a", "1\n2"), Entry("a", "1 # 2"), Entry("", "x")])
def test_content_that_fdf_cannot_hold_is_refused(entry):
    with pytest.raises(FdfError):
        fdf.write([entry])


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.parent.name)
def test_recorded_inputs_survive_a_round_trip(path):
    text = path.read_text()
    document = fdf.read(text)
    written = fdf.write(document)
    assert fdf.read(written).content == document.content
    assert fdf.write(fdf.read(written)) == written


def test_the_recorded_input_with_an_open_block_is_refused_at_the_next_block():
    with pytest.raises(FdfError, match="line 19: block LatticeVectors of line 13 is still open"):
        fdf.read(BROKEN.read_text())


label = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,20}", fullmatch=True)
word = st.from_regex(r"[A-Za-z0-9.+/\\*()-]{1,12}", fullmatch=True)
value = st.lists(word, max_size=5).map(" ".join)
row = st.lists(word, min_size=1, max_size=5).map(" ".join)
entry = st.one_of(
    st.builds(Entry, label, value),
    st.builds(Entry, label, rows=st.lists(row, max_size=5).map(tuple)),
)


@given(st.lists(entry, max_size=8, unique_by=lambda one: one.key))
def test_what_is_written_is_read_back_the_same(entries):
    text = fdf.write(entries)
    assert fdf.read(text).content == [one.content for one in entries]
    assert fdf.write(fdf.read(text)) == text


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_with_a_line(text):
    try:
        document = fdf.read(text)
    except FdfError as error:
        assert error.line >= 1
        return
    for one in document:
        assert one.line >= 1


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6))
def test_numbers_are_reals_and_come_back(number):
    text = fdf.number(number)
    assert "." in text or "e" in text
    assert float(text) == pytest.approx(number, rel=1e-9)
