"""A large output is read in parts: the same verdict, exact counts, bounded memory."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import pytest

from bench import parse
from calculations.software import reading, survey
from calculations.software.espresso import Espresso
from calculations.software.reading import lines
from calculations.software.results import Exit, Results, Verdict
from calculations.software.siesta import Siesta

DATA = Path(__file__).parents[2] / "data"
FOLDERS = sorted(path.parent for path in DATA.glob("*/**/output.out") if "pyscf" not in str(path))
PLUGINS = {"siesta": Siesta(), "espresso": Espresso()}


def plugin_of(folder: Path) -> Siesta | Espresso:
    return next(PLUGINS[part] for part in folder.parts if part in PLUGINS)


def written(folder: Path, output: parse.Output, steps: int, middle: bytes = b"") -> None:
    texts = [output.step(number) for number in range(1, steps + 1)]
    texts[steps // 2] += middle
    (folder / "output.out").write_bytes(output.head + b"".join(texts) + output.tail)


def values(results: Results, name: str, column: str) -> tuple:
    return results.dataset(name).column(column).values


@pytest.fixture
def in_parts(monkeypatch):
    monkeypatch.setattr(survey, "WHOLE", 0)
    monkeypatch.setattr(survey, "BLOCK", 1000)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(DATA)))
def test_a_recorded_run_reads_the_same_in_parts(folder, monkeypatch, in_parts):
    plugin = plugin_of(folder)
    in_pieces = plugin.assess(folder, Exit(0))
    monkeypatch.setattr(survey, "WHOLE", 10**9)
    assert in_pieces == plugin.assess(folder, Exit(0))
    assert in_pieces == (plugin.judge(folder, Exit(0)), plugin.extract(folder))


@pytest.mark.parametrize("make", [parse.siesta_output, parse.espresso_output])
def test_of_many_geometries_some_are_read_and_all_are_counted(tmp_path, monkeypatch, make):
    written(tmp_path, make(4), 100)
    plugin = PLUGINS[make(4).software]
    whole_verdict, whole = plugin.assess(tmp_path, Exit(0))
    monkeypatch.setattr(survey, "WHOLE", 0)
    monkeypatch.setattr(survey, "MAX_STEPS", 10)
    outcome, results = plugin.assess(tmp_path, Exit(0))
    assert outcome == whole_verdict
    assert results.quantities == whole.quantities
    for name, column in (("scf", "step"), ("geometry_steps", "geometry")):
        all_of_them, some = values(whole, name, column), values(results, name, column)
        assert len(some) < len(all_of_them) / 4
        assert (some[0], some[-1]) == (all_of_them[0], all_of_them[-1])
        assert set(some) < set(all_of_them)
        of = f" of {len(all_of_them):,} "
        assert f"({len(some):,}{of}" in results.dataset(name).label
        assert "(" not in whole.dataset(name).label


@pytest.mark.parametrize(
    ("make", "alarm"),
    [
        (parse.siesta_output, b"SCF_NOT_CONV: SCF did not converge in maximum number of steps.\n"),
        (parse.espresso_output, b"     convergence NOT achieved after 100 iterations: stopping\n"),
    ],
)
def test_a_failure_between_the_parts_is_heard(tmp_path, monkeypatch, make, alarm):
    monkeypatch.setattr(survey, "WHOLE", 0)
    monkeypatch.setattr(survey, "MAX_STEPS", 4)
    output = make(4)
    written(tmp_path, output, 101, alarm)
    text = (tmp_path / "output.out").read_bytes()
    number = text[: text.index(alarm)].count(b"\n") + 1
    outcome = PLUGINS[output.software].judge(tmp_path, Exit(0))
    assert (outcome.verdict, outcome.code) == (Verdict.NOT_VALID, "scf_not_converged")
    assert f"{alarm.decode().strip()} (output.out:{number})" in outcome.evidence


@pytest.mark.parametrize("make", [parse.siesta_output, parse.espresso_output])
def test_memory_does_not_grow_with_the_output(tmp_path, monkeypatch, make):
    monkeypatch.setattr(survey, "WHOLE", 1_000_000)
    monkeypatch.setattr(survey, "MAX_BYTES", 1_000_000)
    peaks = []
    for megabytes in (3, 12):
        output = make(100)
        parse.write_output(tmp_path / "output.out", output, megabytes * 1_000_000)
        tracemalloc.start()
        PLUGINS[output.software].assess(tmp_path, Exit(0))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
    assert peaks[1] < 20_000_000


def test_a_part_of_a_file_knows_its_line_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK", 5)
    path = tmp_path / "text"
    path.write_bytes(b"one\ntwo\r\nthree\nfo\0ur\nfive")
    assert list(lines(path)) == [(1, "one"), (2, "two"), (3, "three"), (4, "four"), (5, "five")]
    assert list(lines(path, 4, 11, 2)) == [(2, "two"), (3, "three")]
    assert list(lines(path, 21, -1, 5)) == [(5, "five")]


def test_an_output_of_one_endless_line_is_survived(tmp_path, in_parts):
    (tmp_path / "output.out").write_bytes(b"scf: error Begin " * 10_000)
    for plugin in PLUGINS.values():
        assert plugin.judge(tmp_path, Exit(0)).verdict is Verdict.FAILED


def test_lines_are_found_across_blocks(tmp_path, monkeypatch):
    path = tmp_path / "text"
    path.write_bytes(b"head 1\nx head\nhead 2\n" * 40)
    expected = [match.start() for match in re.finditer(b"^head", path.read_bytes(), re.M)]
    for size in range(4, 40):
        monkeypatch.setattr(survey, "BLOCK", size)
        assert list(survey.places_of(path, b"head")) == expected
    assert list(survey.places_of(tmp_path / "absent", b"head")) == []
