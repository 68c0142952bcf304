"""Models as plain processes, with real programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.agent.runtimes.base import Handle, Launch, Status
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
def processes(tmp_path: Path, folder: Path) -> Processes:
    return Processes(tmp_path / "own", [tmp_path / "models"])


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
    assert again.find(launch.spec, launch.number) == handle
    assert again.find(launch.spec, launch.number + 1) is None
    assert again.start(launch) == handle
    assert state(again, handle).alive
    again.signal(handle, kill=True)
    found = ended(again, handle)
    assert (found.signal, found.out_of_memory) == (9, False)
    again.remove(handle)


def test_a_killed_program_tells_its_signal(processes: Processes, folder: Path) -> None:
    handle = processes.start(launched(processes, folder, "sh", "-c", "kill -9 $$"))
    found = ended(processes, handle)
    assert (found.code, found.signal, found.out_of_memory) == (137, 9, False)
    processes.remove(handle)
