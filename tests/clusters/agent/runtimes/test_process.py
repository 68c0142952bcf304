"""Models as plain processes, with real programs."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clusters.agent import procfs
from clusters.agent.runtimes.base import Handle, Launch, RuntimeFailed, Status
from clusters.agent.runtimes.process import Processes
from tests.clusters.agent.runtimes.arranging import ask, launch_of, spec_of, until

SERVER = """\
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("asked to end"), sys.exit(0)))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    log_message = lambda *_: None
print("serving", *sys.argv[1:], os.environ.get("GREETING"))
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "it's $(touch oops); a model"
    folder.mkdir(parents=True)
    (folder / "serve.py").write_text(SERVER)
    return folder


@pytest.fixture
def processes(tmp_path: Path, folder: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path / "own", [tmp_path / "models"])
    yield processes
    for handle in processes.strays([]):  # of a test that failed
        processes.remove(handle)


def launched(processes: Processes, folder: Path, *command: str, **named: object) -> Launch:
    spec = spec_of(
        runtime="process", folder=str(folder), command=command or ("python", "serve.py"), **named
    )
    return launch_of(spec, folder.parents[1] / "replicas")


def state(processes: Processes, handle: Handle) -> Status:
    return processes.status([handle])[handle.reference]


def ended(processes: Processes, handle: Handle) -> Status:
    return until(lambda: (found := state(processes, handle)).alive is False and found)


def test_a_process_answers_where_it_was_told_to(processes: Processes, folder: Path) -> None:
    launch = launched(processes, folder, "python", "serve.py", environment={"GREETING": "$(id) ;"})
    processes.prepare(launch.spec, launch.folder)
    handle = processes.start(launch)
    assert ask(launch.port)[0] == 200
    found = state(processes, handle)
    assert found.alive and found.memory_mib and found.cpu_s is not None
    processes.signal(handle)
    assert ended(processes, handle).code == 0
    assert launch.log.read_text() == "serving $(id) ;\nasked to end\n"
    processes.remove(handle)
    processes.remove(handle)
    assert state(processes, handle).alive is False
    assert not list((folder.parents[1] / "own" / "launches").iterdir())
    assert not list(Path.cwd().glob("oops")) and not (folder / "oops").exists()


def test_a_restarted_agent_finds_what_runs_and_how_it_ended(
    processes: Processes, folder: Path, tmp_path: Path
) -> None:
    launch = launched(processes, folder)
    handle = processes.start(launch)
    ask(launch.port)
    again = Processes(tmp_path / "own", [tmp_path / "models"])
    assert again.find(launch.spec.replica, launch.number) == handle
    assert again.find(launch.spec.replica, launch.number + 1) is None
    assert again.start(launch) == handle
    assert state(again, handle).alive
    again.signal(handle, kill=True)
    found = ended(again, handle)
    assert (found.signal, found.out_of_memory) == (9, False)
    next_one = again.start(launch_of(launch.spec, tmp_path / "replicas", 2))
    assert again.find(launch.spec.replica, 1) is None
    assert again.strays([]) == [next_one]
    again.remove(next_one)


def test_a_killed_program_tells_its_signal(processes: Processes, folder: Path) -> None:
    handle = processes.start(launched(processes, folder, "sh", "-c", "kill -9 $$"))
    found = ended(processes, handle)
    assert (found.code, found.signal, found.out_of_memory) == (137, 9, False)
    processes.remove(handle)


def test_the_program_alone_hears_sigterm_even_as_it_begins(
    processes: Processes, folder: Path
) -> None:
    words = "trap 'echo heard; exit 5' TERM; (trap 'echo child heard' TERM; sleep 60 & wait) & wait"
    launch = launched(processes, folder, "sh", "-c", words)
    handle = processes.start(launch)
    until(lambda: len(processes._of(handle).members()) >= 4)  # type: ignore[union-attr]
    processes.signal(handle)
    assert ended(processes, handle).code == 5
    assert launch.log.read_text() == "heard\n"
    processes.remove(handle)


def test_whoever_starts_the_same_launch_twice_runs_it_once(
    processes: Processes, folder: Path, tmp_path: Path
) -> None:
    launch = launched(processes, folder, "sh", "-c", "echo once; exec sleep 60")
    agents = [Processes(tmp_path / "own", [tmp_path / "models"]) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        handles = set(threads.map(lambda agent: agent.start(launch), agents))
    assert len(handles) == 1
    (handle,) = handles
    until(launch.log.read_text)
    assert launch.log.read_text() == "once\n"
    agents[0].remove(handle)
    assert ended(agents[1], handle).alive is False


def test_nothing_of_a_model_is_left_not_even_what_went_its_own_way(
    processes: Processes, folder: Path
) -> None:
    for words in ("sleep 60 & exit 4", "setsid sleep 60 & sleep 0.1; exit 4"):
        launch = launched(processes, folder, "sh", "-c", words)
        handle = processes.start(launch)
        assert ended(processes, handle).code == 4
        session = processes._of(handle)
        assert session is not None
        until(lambda session=session: not session.members() and not session._escaped())
        processes.remove(handle)


def test_a_model_that_lost_its_shell_is_still_alive_and_can_be_ended(
    processes: Processes, folder: Path
) -> None:
    launch = launched(processes, folder)
    handle = processes.start(launch)
    ask(launch.port)
    os.kill(int(handle.reference.split(":")[0]), signal.SIGKILL)
    until(lambda: len(processes._of(handle).members()) == 1)  # type: ignore[union-attr]
    assert state(processes, handle).alive and ask(launch.port)[0] == 200
    processes.signal(handle)
    assert ended(processes, handle).code is None
    assert launch.log.read_text().endswith("asked to end\n")
    processes.remove(handle)


def test_a_model_that_takes_more_memory_than_it_asked_for_is_ended(
    processes: Processes, folder: Path
) -> None:
    code = "import time; x = b'x' * 150_000_000; time.sleep(60)"
    handle = processes.start(launched(processes, folder, "python", "-c", code))
    found = ended(processes, handle)
    assert found.out_of_memory and found.signal == 9
    assert "MiB" in found.detail
    again = Processes(processes.root.parent, processes.folders)
    assert state(again, handle).out_of_memory
    processes.remove(handle)


def test_weights_that_are_mapped_from_a_file_do_not_count(
    processes: Processes, folder: Path
) -> None:
    with (folder / "weights").open("wb") as weights:
        weights.truncate(150_000_000)
    code = (
        "import mmap, time; f = open('weights'); "
        "m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); "
        "sum(m[::4096]); print('read', flush=True); time.sleep(60)"
    )
    launch = launched(processes, folder, "python", "-c", code)
    handle = processes.start(launch)
    until(launch.log.read_text)
    found = state(processes, handle)
    assert found.alive and found.memory_mib is not None and found.memory_mib < 64
    processes.signal(handle, kill=True)
    processes.remove(handle)


def test_a_burst_of_memory_is_refused_before_the_machine_suffers(
    processes: Processes, folder: Path
) -> None:
    launch = launched(processes, folder, "python", "-c", "x = bytearray(3 * 2**30)")
    handle = processes.start(launch)
    assert ended(processes, handle).code == 1
    assert "MemoryError" in launch.log.read_text()
    processes.remove(handle)


def test_a_log_that_was_emptied_goes_on_at_its_beginning(
    processes: Processes, folder: Path
) -> None:
    words = "trap 'echo more' TERM; echo one; sleep 60 & wait; wait"
    launch = launched(processes, folder, "sh", "-c", words)
    handle = processes.start(launch)
    until(launch.log.read_text)
    os.truncate(launch.log, 0)
    processes.signal(handle)
    assert until(launch.log.read_text) == "more\n"
    processes.signal(handle, kill=True)
    processes.remove(handle)


def test_a_model_gets_its_own_variables_and_none_of_the_agents_secrets(
    processes: Processes, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "SECRET_KEY", "LABPORTAL_KEY", "PYTHONPATH", "PORTAL"):
        monkeypatch.setenv(name, "of the agent")
    given = {"TOKEN": "a\nb $(id)", "PORT": "1", "OMP_NUM_THREADS": "7"}
    launch = launched(processes, folder, "env", "-0", environment=given, cores=3)
    launch = dataclasses.replace(launch, model_dir=tmp_path)
    handle = processes.start(launch)
    ended(processes, handle)
    found = dict(line.split("=", 1) for line in launch.log.read_text().split("\0") if line)
    assert "of the agent" not in found.values()
    assert found["TOKEN"] == given["TOKEN"]
    assert found["PORT"] == found["SAGEMAKER_BIND_TO_PORT"] == str(launch.port)
    assert found["SM_MODEL_DIR"] == found["MODEL_DIR"] == str(tmp_path)
    assert (found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"]) == ("7", "3")
    assert found["PWD"] == str(folder)
    processes.remove(handle)


def test_a_folder_has_to_lie_where_the_settings_allow_it(
    processes: Processes, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder.parent / "link").symlink_to(outside)
    refused = ("", "models", str(outside), str(folder.parent / "link"), str(folder / "serve.py"))
    for path in (*refused, str(folder / "nothere"), f"{folder}/../../outside", "/\0"):
        with pytest.raises(RuntimeFailed) as caught:
            processes.prepare(spec_of(runtime="process", folder=path), tmp_path)
        assert caught.value.code == "folder_refused"
    with pytest.raises(RuntimeFailed, match="none"):
        Processes(tmp_path, []).prepare(spec_of(runtime="process", folder=str(folder)), tmp_path)


def test_a_program_has_to_be_there_and_may_be_called_serve(
    processes: Processes, folder: Path, tmp_path: Path
) -> None:
    for command in ((), ("nothere",), ("./serve.py",), ("../x",)):
        with pytest.raises(RuntimeFailed, match="no program") as caught:
            processes.prepare(spec_of(folder=str(folder), command=command), tmp_path)
        assert caught.value.code == "folder_refused"
    (folder / "serve").write_text('#!/bin/sh\necho "$0 $*"\n')
    (folder / "serve").chmod(0o755)
    launch = launch_of(spec_of(folder=str(folder)), tmp_path / "replicas")
    processes.prepare(launch.spec, tmp_path)
    handle = processes.start(launch)
    assert ended(processes, handle).code == 0
    assert launch.log.read_text() == f"{folder}/serve serve\n"
    processes.remove(handle)


def test_strays_are_what_nobody_knows_any_more(processes: Processes, folder: Path) -> None:
    launch = launched(processes, folder)
    handle = processes.start(launch)
    assert processes.strays([launch.spec.replica]) == []
    assert processes.strays([]) == [handle]
    processes.remove(handle)
    assert processes.strays([]) == []
    assert not procfs.session_members(_identity(handle))


def _identity(handle: Handle) -> procfs.Identity:
    pid, start, boot = handle.reference.split(":")
    return procfs.Identity(boot, int(pid), int(start))
