"""Cut and garbled files: judging and extracting never raise, and never find a cut run valid."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calculations.software.execution import FAILED, execute
from calculations.software.reading import LONGEST_LINE, Thinned, lines, real, reals
from calculations.software.results import Exit, Results, Verdict
from calculations.software.siesta import Siesta
from calculations.software.siesta.files import MAX_VALUES

DATA = Path(__file__).parents[3] / "data" / "siesta"
FOLDERS = ["water_single", "water_relax", "silicon_bands_dos", "water_scf_not_converged"]
RECORDED = {
    name: {path.name: path.read_bytes() for path in (DATA / name).iterdir()} for name in FOLDERS
}
ENDED = Exit(0)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


def examine(folder: Path, ending: Exit = ENDED) -> tuple[Verdict, Results]:
    siesta = Siesta()
    outcome = siesta.judge(folder, ending)
    results = siesta.extract(folder)
    for item in execute([a for a in siesta.analyses if a.scope == "run"], results, {}):
        assert item.status != FAILED, item.problem
        results = results + item.results
    json.dumps([outcome.to_json(), results.to_json()], allow_nan=False)
    assert Results.from_json(results.to_json()) == results
    return outcome.verdict, results


@QUICK
@given(name=st.sampled_from(FOLDERS), data=st.data())
def test_every_file_may_be_cut_anywhere(name, data):
    files = dict(RECORDED[name])
    for file in sorted(files):
        if data.draw(st.booleans(), label=file):
            files[file] = files[file][: data.draw(st.integers(0, len(files[file])))]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        verdict, _ = examine(Path(folder))
    if b"\nJob completed" not in files["output.out"]:
        assert verdict is not Verdict.VALID


@QUICK
@given(name=st.sampled_from(FOLDERS), data=st.data())
def test_any_bytes_may_stand_anywhere(name, data):
    files = dict(RECORDED[name])
    for file in sorted(files):
        content = bytearray(files[file])
        for _ in range(data.draw(st.integers(0, 4), label=file)):
            place = data.draw(st.integers(0, len(content)))
            length = data.draw(st.integers(0, 200))
            content[place : place + length] = data.draw(st.binary(max_size=40))
        files[file] = bytes(content)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        examine(Path(folder), data.draw(st.sampled_from([Exit(0), Exit(1), Exit(None), Exit(139)])))


@QUICK
@given(name=st.sampled_from(FOLDERS), data=st.data())
def test_numbers_may_be_replaced_by_anything_fortran_prints(name, data):
    files = dict(RECORDED[name])
    odd = st.sampled_from(
        ["********", "NaN", "Infinity", "-Inf", "0.1-300", "1.0D+400", "", "1e999"]
    )
    for file in sorted(files):
        words = files[file].decode("latin-1").split(" ")
        numeric = [i for i, word in enumerate(words) if any(sign.isdigit() for sign in word)]
        for _ in range(data.draw(st.integers(0, 6)) if numeric else 0):
            words[data.draw(st.sampled_from(numeric))] = data.draw(odd)
        files[file] = " ".join(words).encode("latin-1")
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        examine(Path(folder))


@QUICK
@given(
    st.dictionaries(st.sampled_from(sorted(RECORDED["silicon_bands_dos"])), st.binary(max_size=500))
)
def test_files_of_pure_noise_are_survived(files):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        verdict, _ = examine(Path(folder))
    assert verdict is not Verdict.VALID


def test_nul_characters_and_latin_1_do_no_harm(tmp_path):
    files = dict(RECORDED["water_single"])
    text = files["output.out"].replace(
        b"System Name: water single", b"System Name: Wassermolek\xfcl"
    )
    files["output.out"] = text.replace(b"siesta:         Total", b"siesta:\0         To\0tal")
    write(tmp_path, files)
    verdict, results = examine(tmp_path)
    assert verdict is Verdict.VALID
    assert results.quantity("total_energy").value == -465.816187


def test_columns_that_touch_are_told_apart(tmp_path):
    line = "   scf:    1  -466.819837  -464.986195  -464.986195  1.433377-104.422977 17.383123\n"
    (tmp_path / "output.out").write_text(line)
    scf = Siesta().extract(tmp_path).dataset("scf")
    assert scf.column("fermi").values == (-104.422977,)
    assert scf.column("density_change").values == (1.433377,)


def test_a_line_of_any_length_takes_bounded_memory(tmp_path):
    path = tmp_path / "output.out"
    path.write_bytes(b"x" * (3 * LONGEST_LINE) + b"\nend")
    assert [(number, len(line)) for number, line in lines(path)] == [(1, LONGEST_LINE), (2, 3)]


def test_absurd_counts_in_a_head_are_refused(tmp_path):
    (tmp_path / "x.EIG").write_text("0.0\n 999999999999 2 99999999\n 1 0.0\n")
    (tmp_path / "x.bands").write_text("0 0 1 0 1\n 99999999999 1 5\n 0.0 1.0\n")
    (tmp_path / "x.XV").write_text("1 0 0\n0 1 0\n0 0 1\n 99999999\n 1 8 0 0 0\n")
    assert Siesta().extract(tmp_path) == Results()
    many = MAX_VALUES + 1
    (tmp_path / "x.bands").write_text(f"0 0 1 0 1\n {many} 1 1\n 0.0 " + "1.0 " * many)
    assert Siesta().extract(tmp_path) == Results()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5D-3", 0.0015),
        ("0.1-300", 1e-301),
        ("****", None),
        ("NaN", None),
        ("inf", None),
        ("x", None),
    ],
)
def test_fortran_numbers(text, value):
    assert real(text) == value


def test_numbers_are_found_in_a_text():
    assert reals("a = 1.0 -2.5E+01****") == [1.0, -25.0, None]


@given(st.integers(0, 3000), st.integers(2, 50))
def test_thinning_keeps_both_ends_and_the_limit(count, limit):
    thinned = Thinned(limit)
    for item in range(count):
        thinned.append(item)
    items = thinned.items
    assert thinned.count == count
    assert len(items) <= limit + 1
    assert items == sorted(set(items))
    if count:
        assert (items[0], items[-1]) == (0, count - 1)
