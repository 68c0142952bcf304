"""The demo's processes: started again when one is killed, given up when that does not help."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from labportal.demo.processes import RESTARTS, ProcessEnded, Processes


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path)
    yield processes
    processes.end()


def test_what_was_killed_is_started_again(processes: Processes) -> None:
    processes.start("sleeper", ["sleep", "60"], {})
    first = processes.running["sleeper"]
    os.kill(first.pid, signal.SIGKILL)
    first.wait(5)
    processes.check()
    again = processes.running["sleeper"]
    assert again.pid != first.pid
    assert again.poll() is None


def test_what_ends_again_and_again_is_given_up_with_the_end_of_its_log(
    processes: Processes,
) -> None:
    processes.start("broken", ["sh", "-c", "echo no database; exit 3"], {})
    with pytest.raises(ProcessEnded, match=r"(?s)ended with 3.*no database"):
        for _ in range(RESTARTS + 1):
            processes.running["broken"].wait(5)
            processes.check()


def test_ending_ends_everything(processes: Processes) -> None:
    for number in range(3):
        processes.start(f"sleeper-{number}", ["sleep", "60"], {})
    pids = [process.pid for process in processes.running.values()]
    processes.end()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
