"""Cut and garbled output: judging and extracting never raise, and never find a cut run valid."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calculations.software.espresso.output import read_output
from calculations.software.espresso.report import MAX_K_POINTS, MAX_LEVELS_KEPT
from calculations.software.execution import FAILED, execute, execute_across
from calculations.software.results import Exit, Results, Verdict
from tests.calculations.software.espresso.recorded import DATA, ESPRESSO, SILICON, checked

FOLDERS = [
    "water_scf",
    "hydrogen_relax",
    "silicon_bands",
    "silicon_vc_relax",
    "water_scf_not_converged",
    "missing_pseudopotential",
]
RECORDED = {
    name: {path.name: path.read_bytes() for path in (DATA / name).iterdir()} for name in FOLDERS
}
ENDED = Exit(0)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = st.sampled_from(FOLDERS)


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


def examine(folder: Path, ending: Exit = ENDED) -> tuple[Verdict, Results]:
    outcome = ESPRESSO.judge(folder, ending)
    results = ESPRESSO.extract(folder)
    for item in execute([a for a in ESPRESSO.analyses if a.scope == "run"], results, {}):
        assert item.status != FAILED, item.problem
        results = results + item.results
    runs = [
        (checked(**SILICON, scale=scale), results if scale < 1.1 else Results())
        for scale in (0.9, 1.0, 1.05, 1.1)
    ]
    across = [a for a in ESPRESSO.analyses if a.scope == "calculation"]
    for item in execute_across(across, runs, troubled={}):
        assert item.status != FAILED, item.problem
        json.dumps(item.results.to_json(), allow_nan=False)
    json.dumps([outcome.to_json(), results.to_json()], allow_nan=False)
    assert Results.from_json(results.to_json()) == results
    return outcome.verdict, results


@QUICK
@given(name=NAMES, data=st.data())
def test_every_file_may_be_cut_anywhere(name, data):
    files = dict(RECORDED[name])
    for file in sorted(files):
        if data.draw(st.booleans(), label=file):
            files[file] = files[file][: data.draw(st.integers(0, len(files[file])))]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        verdict, _ = examine(Path(folder))
    if b"JOB DONE." not in files["output.out"]:
        assert verdict is not Verdict.VALID


@QUICK
@given(name=NAMES, data=st.data())
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
        examine(Path(folder), data.draw(st.sampled_from([Exit(0), Exit(2), Exit(None), Exit(139)])))


@QUICK
@given(name=NAMES, data=st.data())
def test_numbers_may_be_replaced_by_anything_fortran_prints(name, data):
    files = dict(RECORDED[name])
    odd = st.sampled_from(
        ["********", "NaN", "Infinity", "-Inf", "0.1-300", "1.0D+300", "", "1e999", "9" * 30]
    )
    for file in sorted(files):
        words = files[file].decode("latin-1").split(" ")
        numeric = [i for i, word in enumerate(words) if any(sign.isdigit() for sign in word)]
        for _ in range(data.draw(st.integers(0, 8)) if numeric else 0):
            words[data.draw(st.sampled_from(numeric))] = data.draw(odd)
        files[file] = " ".join(words).encode("latin-1")
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        examine(Path(folder))


@QUICK
@given(name=NAMES, data=st.data())
def test_lines_may_be_lost_doubled_and_moved(name, data):
    files = dict(RECORDED[name])
    lines = files["output.out"].split(b"\n")
    for _ in range(data.draw(st.integers(1, 8))):
        start, length = (data.draw(st.integers(0, len(lines))) for _ in range(2))
        block = lines[start : start + length % 60]
        if data.draw(st.booleans()):
            del lines[start : start + length % 60]
        lines[(place := data.draw(st.integers(0, len(lines)))) : place] = block
    files["output.out"] = b"\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        examine(Path(folder))


@QUICK
@given(
    st.dictionaries(
        st.sampled_from(["output.out", "stderr.txt", "bands.in", "scf.in"]),
        st.binary(max_size=500),
    )
)
def test_files_of_pure_noise_are_survived(files):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        verdict, _ = examine(Path(folder))
    assert verdict is not Verdict.VALID


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=500))
def test_any_tail_of_a_log_is_survived(text):
    ESPRESSO.progress(text)
    ESPRESSO.progress(f"iteration # {text}\n estimated scf accuracy < {text} Ry")


def test_nul_characters_and_latin_1_do_no_harm(tmp_path):
    files = dict(RECORDED["water_scf"])
    text = files["output.out"].replace(b"Reading input from", b"Wassermolek\xfcl")
    files["output.out"] = text.replace(b"!    total energy", b"!\0    to\0tal energy")
    write(tmp_path, files)
    verdict, results = examine(tmp_path)
    assert verdict is Verdict.VALID
    assert results.quantity("total_energy_ry").value == -34.25004787


def test_a_folder_in_place_of_a_file_is_survived(tmp_path):
    for name in ("output.out", "stderr.txt", "bands.in"):
        (tmp_path / name).mkdir()
    verdict, results = examine(tmp_path)
    assert verdict is Verdict.FAILED
    assert results == Results()


@pytest.mark.parametrize("count", [3, MAX_K_POINTS + 500])
def test_memory_is_bounded_by_counts_of_our_own(tmp_path, count):
    head = "                       cart. coord. in units 2pi/alat\n"
    point = "        k(    1) = (   0.0000000   0.0000000   0.0000000), wk =   2.0000000\n"
    levels = "          k = 0.0000 0.0000 0.0000 (   10 PWs)   bands (ev):\n\n"
    row = "   1.0000" * 8 + "\n"
    path = tmp_path / "output.out"
    end = "     End of self-consistent calculation\n\n"
    path.write_text(head + point * count + end + (levels + row * 6 + "\n") * count)
    report = read_output(path)
    assert len(report.k_points) == min(count, MAX_K_POINTS)
    assert sum(len(level.energies) for level in report.levels) <= MAX_LEVELS_KEPT
    path.write_text(end + levels + row * (MAX_LEVELS_KEPT // 4))
    assert sum(len(level.energies) for level in read_output(path).levels) <= MAX_LEVELS_KEPT
