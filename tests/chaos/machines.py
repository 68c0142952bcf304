"""The machine below goes wrong: its clock jumps, its disk is full, its agent's file changes, and
there are two of what should be one.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.book import Work, until
from tests.chaos.lab import Lab
from tests.chaos.parts import STILL_S, Play
from tests.chaos.stages import STAGES, run

CLOCK = Path(__file__).with_name("clock.py")
SECOND = "second"
NEW_FILE = """
import pathlib, sys
from clusters import agent_file
agent_file.MAIN = "# another version, of another length\\n" + agent_file.MAIN
agent_file.build(pathlib.Path(sys.argv[1]))
"""


# Clocks


@contextlib.contextmanager
def _clock(lab: Lab) -> Iterator[Path]:
    """The agent's clock goes wrong by the seconds in the file that is given."""
    offset = lab.stack.home / "clock"
    offset.write_text("0")
    lab.here.launcher = (str(CLOCK), str(offset))
    lab.restart("agent")
    try:
        yield offset
    finally:
        lab.here.launcher = ()
        lab.restart("agent")


def clock_jumps(seconds: float, stage: str) -> Play:
    def play(lab: Lab) -> None:
        with _clock(lab) as offset:
            work = STAGES[stage](lab)
            offset.write_text(str(seconds))
            work.release()
            lab.tidy()
            lab.ended_once(work)
            lab.ended_once(*lab.submit())

    return play


def clock_of_another_year(lab: Lab) -> None:
    """Wrong from the start, and put right while a run goes on."""
    with _clock(lab) as offset:
        offset.write_text(str(-400 * 86_400))
        lab.restart("agent")
        work = run(lab)
        offset.write_text("0")
        work.release()
        lab.ended_once(work)


# Disks


def _fill_disk(lab: Lab) -> None:
    filler = lab.stack.work(lab.here.number) / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def disk_full(stage: str) -> Play:
    """What meets the full disk is lost and tried again; with room, all goes on."""

    def play(lab: Lab) -> None:
        work = STAGES[stage](lab)
        _fill_disk(lab)
        lab.go_on("agent")
        work.release()
        time.sleep(STILL_S)
        lab.tidy()
        lab.ended(work)
        lab.closed(work)
        assert lab.state(work) == "valid", lab.story(work)
        lab.ended_once(*lab.submit())

    return play


# Two of one


def two_workers(lab: Lab) -> None:
    """Two workers place at the same time, and one of them is killed in between."""
    lab.stack.start(
        SECOND,
        [
            *(sys.executable, "-m", "celery", "-A", "labportal", "worker"),
            *("--concurrency", "1", "--hostname", "second@%h", "--loglevel", "warning"),
        ],
    )
    works = [work for _ in range(6) for work in lab.submit(count=3, seconds=0.05)]
    lab.kill("worker")
    works += lab.submit(count=3)
    lab.restart("worker")
    lab.kill(SECOND)
    lab.ended_once(*works)


def two_beats(lab: Lab) -> None:
    lab.stack.start(SECOND, [sys.executable, "-m", "celery", "-A", "labportal", "beat"])
    works = lab.submit(count=6, seconds=0.2)
    lab.ended_once(*works)
    lab.kill(SECOND)


def same_folder_twice(lab: Lab) -> None:
    """The second agent of a work folder finds the lock and leaves."""
    work = run(lab)
    command = [sys.executable, str(lab.stack.agent_file()), "--config"]
    command += [str(lab.stack.home / f"{lab.here.agent}.ini"), "run"]
    second = subprocess.run(command, timeout=20, capture_output=True)
    assert second.returncode == 75, second.stderr
    work.release()
    lab.ended_once(work)


def one_key_twice(lab: Lab) -> None:
    """A second agent shows the key of the first, from a folder of its own: it is refused."""
    work = run(lab)
    config = lab.stack.home / f"{lab.here.agent}.ini"
    other = lab.stack.home / "second.ini"
    folder = lab.stack.work(lab.here.number)
    other.write_text(config.read_text().replace(str(folder), f"{folder}-second"))
    lab.stack.start(
        SECOND, [sys.executable, str(lab.stack.agent_file()), "--config", str(other), "run"]
    )
    until(
        lambda: "the portal listens to another agent" in lab.stack.tail(SECOND),
        lambda: lab.stack.tail(SECOND),
    )
    work.release()
    lab.ended_once(work, *lab.submit(count=3))
    lab.kill(SECOND)
    assert not list((lab.stack.home / f"{folder.name}-second").glob("runs/*"))


def folder_copied(lab: Lab) -> None:
    """The work folder was copied, as with a machine's image, and both agents are started: the one
    that began later goes on, the other asks no more. It does not see what the program leaves in
    the folder of the first, so that the run may be tried once more.
    """
    work = run(lab)
    folder = lab.stack.work(lab.here.number)
    twin = folder.with_name(f"{folder.name}-twin")
    lab.stop("agent")
    shutil.copytree(folder, twin, ignore=shutil.ignore_patterns("agent.lock"))
    lab.go_on("agent")
    config = lab.stack.home / f"{lab.here.agent}.ini"
    other = lab.stack.home / "second.ini"
    other.write_text(config.read_text().replace(str(folder), str(twin)))
    lab.stack.start(
        SECOND, [sys.executable, str(lab.stack.agent_file()), "--config", str(other), "run"]
    )
    until(
        lambda: "was started anew elsewhere" in (folder / "agent.log").read_text(),
        lambda: lab.story(work),
    )
    work.release()
    lab.ended(work)
    assert (lab.state(work), work.repeated) == ("valid", 0), lab.story(work)
    lab.kill(SECOND)
    lab.restart("agent")
    lab.ended_once(*lab.submit())
    shutil.rmtree(twin)


# The agent's file


def agent_file_changes(lab: Lab) -> None:
    """A new version lies where the old one was, while that one works; then it is started."""
    work = STAGES["prepare"](lab)
    file = lab.stack.agent_file()
    subprocess.run(
        [sys.executable, "-c", NEW_FILE, str(file)], env=lab.stack.environment, check=True
    )
    work.release()
    failing = lab.submit(failures=1, retries=1)[0]
    lab.ended_once(work)
    lab.ended(failing)
    assert lab.state(failing) == "valid", lab.story(failing)
    later = run(lab)
    lab.kill("agent")
    lab.restart("agent")
    later.release()
    lab.ended_once(later)


def journal_damaged(lab: Lab) -> None:
    """A power cut loses the journal's last moments: what the portal wants is told again."""
    work = run(lab)
    lab.kill("agent")
    _forget(lab, work)
    lab.restart("agent")
    work.release()
    lab.ended_once(work)


def _forget(lab: Lab, work: Work) -> None:
    """As if the journal had not been written since the run was told of."""
    (told,) = lab.runs_of([work])
    path = lab.stack.work(lab.here.number) / "journal.sqlite"
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as journal:
        journal.execute("DELETE FROM runs WHERE run = ?", (told,))
        journal.commit()
