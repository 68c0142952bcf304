"""Plain processes: started once whoever tries, exits noticed at once, with and without pidfd."""

from __future__ import annotations

import os
import selectors
import time
from pathlib import Path

import pytest

from clusters.agent.schedulers import marks
from clusters.agent.schedulers.base import Job, Key, Status
from clusters.agent.schedulers.process import ProcessScheduler


class Bench:
    """A scheduler with the little of a loop that it needs."""

    def __init__(self, folder: Path, *, use_pidfd: bool = True) -> None:
        self.folder = folder
        self.selector = selectors.DefaultSelector()
        self.ended: list[Key] = []
        self.scheduler = ProcessScheduler(self.selector, self.ended.append, use_pidfd=use_pidfd)

    def job(self, *command: str, stdin_file: str = "") -> Job:
        folder, control = self.folder / "1", self.folder / ".1"
        folder.mkdir(exist_ok=True)
        control.mkdir(exist_ok=True)
        return Job(("r", 1), folder, control, command, dict(os.environ), "out.txt", stdin_file)

    def wait(self, count: int = 1, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while len(self.ended) < count:
            assert time.monotonic() < deadline
            for key, _ in self.selector.select(0.05 if not self.scheduler.poll_s else 0.0):
                key.data()
            self.ended += self.scheduler.poll()


@pytest.fixture(params=[True, False], ids=["pidfd", "polling"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(tmp_path, use_pidfd=request.param)


def test_a_program_runs_and_its_exit_is_known(bench: Bench) -> None:
    job = bench.job("sh", "-c", "echo out; echo err >&2; exit 7")
    assert bench.scheduler.find(job).status is Status.ABSENT
    number = bench.scheduler.start(job)
    bench.wait()
    found = bench.scheduler.find(job)
    assert (found.status, found.exit_code, found.scheduler_id) == (Status.ENDED, 7, number)
    assert found.cpu_s is not None
    assert (job.folder / "out.txt").read_text() == "out\n"
    assert (job.folder / "stderr.txt").read_text() == "err\n"


def test_arguments_are_passed_as_they_are(bench: Bench) -> None:
    words = ["a b", "$(touch hacked)", "`id`", "'", '"', "*", "; exit 9", "é"]
    job = bench.job("printf", "%s\\n", *words)
    bench.scheduler.start(job)
    bench.wait()
    assert (job.folder / "out.txt").read_text().splitlines() == words
    assert not (job.folder / "hacked").exists()


def test_standard_input_comes_from_the_named_file(bench: Bench) -> None:
    job = bench.job("cat", stdin_file="input.fdf")
    (job.folder / "input.fdf").write_text("SystemName water\n")
    bench.scheduler.start(job)
    bench.wait()
    assert (job.folder / "out.txt").read_text() == "SystemName water\n"


def test_two_starts_of_one_attempt_run_one_program(tmp_path: Path) -> None:
    first, second = Bench(tmp_path), Bench(tmp_path)
    job = first.job("sh", "-c", "echo x >>ran; sleep 0.2")
    first.scheduler.start(job)
    second.scheduler.start(job)
    for bench in (first, second):
        bench.wait()
    # Whoever lost is told at once, and finds the other's program.
    deadline = time.monotonic() + 60
    while first.scheduler.find(job).status is not Status.ENDED:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (job.folder / "ran").read_text() == "x\n"
    assert second.scheduler.find(job).exit_code == 0


def test_another_agent_finds_watches_and_stops_a_program(tmp_path: Path) -> None:
    first = Bench(tmp_path)
    job = first.job("sh", "-c", "trap 'exit 3' TERM; : >ready; while :; do sleep 0.02; done")
    number = first.scheduler.start(job)
    deadline = time.monotonic() + 60
    second = Bench(tmp_path)
    while not (job.folder / "ready").exists():  # its marker is whole, and it hears signals
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert second.scheduler.find(job).status is Status.ALIVE
    assert second.scheduler.find(job).scheduler_id == number
    second.scheduler.watch(job)
    assert second.scheduler.memory_mib()[job.key] > 0
    second.scheduler.stop(job, force=False)
    second.wait()
    assert second.scheduler.find(job).exit_code == 3


@pytest.mark.parametrize("whose", ["its own", "another's"])
def test_what_ends_while_it_is_looked_at_has_not_vanished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    bench = Bench(tmp_path)
    job = bench.job("sh", "-c", ": >ready; until [ -e go ]; do sleep 0.01; done")
    number = int(bench.scheduler.start(job))
    deadline = time.monotonic() + 60
    while not (job.folder / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    read = marks.read_exit

    def late(control: Path) -> tuple[int | None, float | None]:
        """Nothing has ended when it is read; it has when that is told."""
        found = read(control)
        (job.folder / "go").touch()
        os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)
        return found

    looking = bench if whose == "its own" else Bench(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(marks, "read_exit", late)
        assert looking.scheduler.find(job).status is Status.ALIVE
    (job.folder / "go").touch()
    bench.wait()
    found = looking.scheduler.find(job)
    assert (found.status, found.exit_code) == (Status.ENDED, 0)


@pytest.mark.parametrize("text", ["exit 0", "", "exit \n", "exit x\n", "done 0\n"])
def test_a_cut_exit_marker_is_no_exit(bench: Bench, text: str) -> None:
    job = bench.job("true")
    (job.control / "exit").write_text(text)
    assert bench.scheduler.find(job).status is Status.ABSENT


def test_a_start_marker_cut_by_a_full_disk_counts_as_vanished(bench: Bench) -> None:
    job = bench.job("true")
    (job.control / "started").write_text("")
    assert bench.scheduler.find(job).status is Status.VANISHED


def test_an_exit_wakes_the_loop_that_waits_for_anything(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.scheduler.start(bench.job("true"))
    for key, _ in bench.selector.select(30):
        key.data()
    assert bench.ended == [("r", 1)]
