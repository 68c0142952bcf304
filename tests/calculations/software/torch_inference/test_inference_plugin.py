"""What may be asked for, what travels with a run, how ends are named, and what is read back."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calculations.software.base import Resources
from calculations.software.parameters import InvalidParameters
from calculations.software.results import Exit, Verdict
from calculations.software.torch_inference.program import sums
from calculations.software.torch_inference.program.networks import NETWORKS
from calculations.software.torch_inference.program.partitions import partitions_of
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.rank import STATISTICS
from calculations.software.torch_inference.program.weights import weights_of
from calculations.software.torch_inference.program.work import Site, Work
from tests.calculations.software.torch_inference.executions import PLUGIN, data_set

PLAN = {
    "world_size": 2,
    "nodes": [{"node": 0, "host": "a"}],
    "threads": 1,
    "batch_size": 8,
    "device": "cpu",
    "precision": "fp32",
    "deadline": None,
    "partitions": [{"index": 0, "name": "1", "samples": 4, "bytes": 80}],
}
RANK = {"rank": 0, "node": 0, **dict.fromkeys(STATISTICS, 1.0)}


def document(**changes: Any) -> dict[str, Any]:
    found = {
        "sums": {**dict.fromkeys(sums.NAMES, 0.0), "samples": 4.0, "prediction": 2.0},
        "reduced": {
            "by": "gloo",
            "difference": 0.0,
            "allowed": 1e-9,
            "tolerance_between_ranks": 1e-5,
        },
        "quality": {"mae": 0.01},
        "times": {"started_at_s": 1.0, "reduced_at_s": 2.0, "ended_at_s": 3.0},
        "totals": {"samples_per_s": 4.0, "throughput_bps": 8e6, "compute_s": 1.0},
        "ranks": [RANK],
        "partitions": [{"partition": 0, "rank": 0, "samples": 4}],
        "course": {
            "generations": 1,
            "lost_ranks": [],
            "moved_partitions": 0,
            "collective_failures": [],
        },
        "hosts": [{"torch": "2.13.0"}],
        "density": {"cells": [[0.1, 0.2, 3]]},
    }
    return {**found, **changes}


def finished(folder: Path, found: Any = None, *, log: str = "", errors: str = "") -> Path:
    (folder / "output.out").write_text(log)
    (folder / "stderr.txt").write_text(errors)
    (folder / "plan.json").write_text(json.dumps(PLAN))
    if found is not None:
        text = found if isinstance(found, str) else json.dumps(found)
        (folder / "results.json").write_text(text)
    return folder


# The form


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"source": "folder"}, "folder"),
        ({"source": "folder", "folder": "../other"}, "folder"),
        ({"source": "folder", "folder": "/etc"}, "folder"),
        ({"source": "files"}, "files"),
        ({"source": "files", "files": "a.exe"}, "files"),
        ({"source": "files", "files": "$(reboot).npz"}, "files"),
        ({"source": "files", "files": "1.npz\n1.npz"}, "files"),
        ({"weights": "file"}, "weights_file"),
        ({"weights": "folder", "weights_file": "../w.safetensors"}, "weights_file"),
        (
            {
                "weights": "file",
                "weights_file": "1.pt",
                "source": "files",
                "files": "1.pt",
            },
            "weights_file",
        ),
        ({"precision": "tf32"}, "precision"),
        ({"compile": True}, "compile"),
        ({"ranks_by": "deadline"}, "deadline"),
        ({"ranks_by": "deadline", "deadline": 9, "launch": "torchrun"}, "ranks_by"),
        ({"ranks": 0}, "ranks"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_what_cannot_be_done_is_refused_at_its_field(values: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InvalidParameters) as caught:
        PLUGIN.check(values)
    assert list(caught.value.errors) == [wrong]


def test_files_that_come_with_a_run_are_asked_for() -> None:
    asked = {"source": "files", "files": "2.npz\n1.npz\n", "weights": "file"}
    values = PLUGIN.check({**asked, "weights_file": "w.safetensors"})
    assert PLUGIN.needed_files(values) == ("2.npz", "1.npz", "w.safetensors")
    assert PLUGIN.needed_files(PLUGIN.check({})) == ()


def test_the_program_travels_whole_and_imports_nothing_else_of_the_portal() -> None:
    files = PLUGIN.prepare(PLUGIN.check({}))
    assert list(files) == ["input.json", "program.py"]
    tree = ast.parse(files["program.py"])
    modules = next(ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign))
    carried = {name[:-3].replace("/", ".").removesuffix(".__init__") for name in modules}
    for name, text in modules.items():
        for node in ast.walk(ast.parse(text)):
            used = [node.module] if isinstance(node, ast.ImportFrom) else []
            used += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            assert {m for m in used if m and m.startswith("calculations")} <= carried, name
    assert files == PLUGIN.prepare(PLUGIN.check({}))


def test_the_site_says_with_what_and_where() -> None:
    site = {"python": "/opt/py", "data_dir": "/data", "hosts": "a b", "launcher": "ssh {host}"}
    words = PLUGIN.command(PLUGIN.check({}), Resources(cores=8, nodes=2, gpus=4), site)
    assert words[:3] == ["/opt/py", "program.py", "coordinate"]
    assert {"--data-dir=/data", "--hosts=a b", "--nodes=2", "--cores=8", "--gpus=4"} <= {*words}


def test_the_version_is_that_of_torch_and_absent_where_it_is() -> None:
    pytest.importorskip("torch")
    assert PLUGIN.discover({"python": sys.executable}).startswith("2.")
    assert PLUGIN.discover({"python": "/nowhere/python"}) is None
    assert PLUGIN.discover({"python": "/bin/false"}) is None


def test_progress_is_the_newest_line_that_tells_of_it() -> None:
    log = "[ 1.00 s] progress 5 of 20 samples\n[ 2.00 s] progress 15 of 20 samples\nmore\n"
    found = PLUGIN.progress(log)
    assert found is not None
    assert (found.done, found.of, found.what) == (15, 20, "samples")
    assert PLUGIN.progress("nothing yet") is None


# The data


def problem(folder: Path, **values: Any) -> Problem:
    work = Work(source="folder", folder="set", site=Site(data_dir=str(folder)), **values)
    with pytest.raises(Problem) as caught:
        partitions_of(work, folder, lambda paths: {})
    return caught.value


def test_partitions_are_taken_as_people_count(tmp_path: Path) -> None:
    folder = data_set(tmp_path / "set")
    (folder / "3.safetensors").rename(folder / "10.safetensors")
    for number in range(3, 10):
        (folder / f"{number}.safetensors").write_bytes((folder / "2.safetensors").read_bytes())
    work = Work(source="folder", folder="set", site=Site(data_dir=str(tmp_path)))
    names = [p.name for p in partitions_of(work, tmp_path, lambda paths: {})]
    assert names == [f"{number}.safetensors" for number in range(1, 11)]


def test_a_partition_that_is_missing_is_named(tmp_path: Path) -> None:
    (data_set(tmp_path / "set") / "2.safetensors").unlink()
    found = problem(tmp_path)
    assert (found.code, "and 2 is not there" in found.message) == ("partition_missing", True)


def test_a_partition_that_is_cut_is_named(tmp_path: Path) -> None:
    path = data_set(tmp_path / "set") / "2.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    found = problem(tmp_path)
    assert (found.code, "2.safetensors should be" in found.message) == ("bad_partition", True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": ("<f4", (4, 5, 64, 64))}, "image has the shape 4 × 5 × 64 × 64"),
        ({"image": ("<f8", (4, 5, 32, 32))}, "image is of type F64; F32 is needed"),
        ({"magnitude": ("<f8", (3, 5))}, "not as many rows"),
        ({"magnitude": None}, "has no tensor 'magnitude'"),
        ({"redshift": ("<i4", (4,))}, "redshift is of type I32"),
    ],
)
def test_a_partition_of_another_shape_or_type_is_named(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    import numpy

    kinds = {"image": ("<f4", (4, 5, 32, 32)), "magnitude": ("<f8", (4, 5))}
    made = {n: numpy.zeros(k[1], k[0]) for n, k in {**kinds, **change}.items() if k}
    (tmp_path / "set").mkdir()
    numpy.savez(tmp_path / "set" / "1.npz", **made)
    found = problem(tmp_path)
    assert found.code == "bad_partition"
    assert words in found.message


def test_links_out_of_the_folder_for_data_sets_are_not_followed(tmp_path: Path) -> None:
    data_set(tmp_path / "elsewhere")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "set").symlink_to(tmp_path / "elsewhere")
    assert problem(tmp_path / "data").code == "outside_data_dir"


def test_a_cluster_without_a_folder_for_data_sets_says_so(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        partitions_of(Work(source="folder", folder="set"), tmp_path, lambda paths: {})
    assert caught.value.code == "no_data_dir"


def test_there_is_no_limit_of_a_thousand_partitions(tmp_path: Path) -> None:
    folder = data_set(tmp_path / "set")
    content = (folder / "1.safetensors").read_bytes()
    for path in folder.iterdir():
        path.unlink()
    (folder / "1.safetensors").write_bytes(content)
    for number in range(2, 1102):
        (folder / f"{number}.safetensors").hardlink_to(folder / "1.safetensors")
    work = Work(source="folder", folder="set", site=Site(data_dir=str(tmp_path)))
    assert len(partitions_of(work, tmp_path, lambda paths: {})) == 1101


def test_weights_that_are_cut_or_absent_are_refused(tmp_path: Path) -> None:
    site = Site(data_dir=str(tmp_path))
    with pytest.raises(Problem) as caught:
        weights_of(Work(weights="folder", weights_file="w.safetensors", site=site), tmp_path)
    assert caught.value.code == "bad_weights"
    (tmp_path / "w.safetensors").write_bytes(b"cut")
    with pytest.raises(Problem, match="it was cut"):
        weights_of(Work(weights="folder", weights_file="w.safetensors", site=site), tmp_path)
    assert weights_of(Work(), tmp_path) == ""


def test_the_bits_of_a_sample_are_the_published_ones() -> None:
    network = NETWORKS["redshift"]
    assert network.bits(network.generated(3)) == 164_160


# The end


@pytest.mark.parametrize(
    ("exit", "found", "errors", "code"),
    [
        (Exit(0), document(), "", "complete"),
        (Exit(143, cancelled=True), None, "", "cancelled"),
        (Exit(143, timed_out=True), None, "", "walltime"),
        (Exit(137, signal=9), None, "", "killed"),
        (Exit(1), None, "Traceback\nMemoryError", "out_of_memory"),
        (Exit(1), None, "OSError: [Errno 28] No space left on device", "disk_full"),
        (Exit(1), None, "Traceback", "program_error"),
        (Exit(None), None, "", "program_error"),
        (Exit(0), None, "", "no_results"),
        (Exit(0), "{", "", "no_results"),
        (Exit(0), {"sums": 3}, "", "no_results"),
        (Exit(0), document(reduced={}), "", "results_broken"),
        (Exit(0), document(partitions=[]), "", "incomplete"),
        (Exit(3), {"problem": {"code": "no_torch", "message": "no torch"}}, "", "no_torch"),
    ],
)
def test_each_end_has_its_name(
    tmp_path: Path, exit: Exit, found: Any, errors: str, code: str
) -> None:
    outcome = PLUGIN.judge(finished(tmp_path, found, errors=errors), exit)
    assert outcome.code == code
    assert (outcome.verdict is Verdict.VALID) is (code == "complete")
    assert code == "complete" or outcome.remedy or code == "no_torch"


def test_sums_that_do_not_add_up_are_not_valid(tmp_path: Path) -> None:
    reduced = {**document()["reduced"], "difference": 1e-3}
    outcome = PLUGIN.judge(finished(tmp_path, document(reduced=reduced)), Exit(0))
    assert (outcome.verdict, outcome.code) == (Verdict.NOT_VALID, "reduced_differs")


def test_ranks_that_were_lost_are_told_of(tmp_path: Path) -> None:
    lost = [{"rank": 1, "why": "nothing was heard of it", "phase": "working"}]
    course = {**document()["course"], "lost_ranks": lost}
    outcome = PLUGIN.judge(finished(tmp_path, document(course=course)), Exit(0))
    assert outcome.verdict is Verdict.VALID
    assert "rank 1 was lost: nothing was heard of it" in outcome.evidence


def test_quantities_and_tables_are_read_back(tmp_path: Path) -> None:
    results = PLUGIN.extract(finished(tmp_path, document()))
    values = {q.name: q.value for q in results.quantities}
    assert (values["ranks"], values["samples"], values["mae"]) == (2, 4, 0.01)
    assert (values["start_s"], values["reduced_s"], values["total_s"]) == (1.0, 2.0, 3.0)
    assert values["throughput"] == 8.0
    assert len(values) == len(results.quantities)
    density = results.dataset("density")
    assert density is not None
    assert density.column("identity").values == (0.1,)
    for chart in PLUGIN.charts:
        dataset = results.dataset(chart.dataset)
        assert dataset is not None
        for name in (chart.x, *chart.y):
            assert dataset.column(name)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 3000))
def test_results_that_were_cut_never_make_reading_fail(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = finished(tmp_path_factory.mktemp("cut"), json.dumps(document())[:cut])
    outcome, results = PLUGIN.assess(folder, Exit(0))
    assert outcome.code in ("no_results", "complete")
    assert results.quantity("ranks") is not None
