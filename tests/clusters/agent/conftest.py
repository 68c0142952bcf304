"""Arranges an agent as a process of its own beside a fake portal; neither Django nor a database is
needed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.clusters.agent.fake_portal import KEY, PATIENCE_S, FakePortal
from tests.clusters.without_portal import _nothing_left_over, _quick_passwords, files_dir

__all__ = ["_nothing_left_over", "_quick_passwords", "files_dir"]

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def portal() -> Iterator[FakePortal]:
    portal = FakePortal()
    yield portal
    portal.close()


class AgentProcess:
    """One agent's settings and folder; started and killed as often as a test wants."""

    def __init__(
        self,
        folder: Path,
        portal: FakePortal,
        settings: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.variables = dict(variables or {})
        self.work = folder / "work"
        self.config = folder / "agent.ini"
        self.serving = "enabled = no"  # so that nobody asks for podman and docker each time
        self.process: subprocess.Popen[bytes] | None = None
        self.settings(portal.url, settings)

    def settings(self, url: str, more: str = "") -> None:
        agent = f"[agent]\nwork = {self.work}\nslots = 2\ncores = 8\ngrace_s = 1\n{more}\n"
        head = f"[serving]\n{self.serving}\n[portal]\nurl = {url}\nkey = {KEY}\n"
        self.config.write_text(head + agent)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "clusters.agent", "--config", str(self.config), *arguments]

    def environment(self) -> dict[str, str]:
        software = "probe=tests.clusters.agent.probe:Probe,noop=bench.noop:Noop"
        return {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "LABPORTAL_SOFTWARE": software,
            **self.variables,
        }

    def start(self) -> AgentProcess:
        self.process = subprocess.Popen(
            self.command("run", "--quiet"), env=self.environment(), cwd=self.folder
        )
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        """Stop the agent as a service manager does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)

    def folder_of(self, run: str, attempt: int = 1) -> Path:
        return self.work / "runs" / run / str(attempt)

    def log(self) -> str:
        return (self.work / "agent.log").read_text()


@pytest.fixture
def agent(tmp_path: Path, portal: FakePortal) -> Iterator[AgentProcess]:
    agent = AgentProcess(tmp_path, portal)
    yield agent
    if agent.process is not None and agent.process.poll() is None:
        agent.kill()


@pytest.fixture
def signals(tmp_path: Path) -> Path:
    """A folder through which a test holds and watches the probe."""
    folder = tmp_path / "signals"
    folder.mkdir()
    return folder


@pytest.fixture
def spec() -> Callable[..., dict[str, Any]]:
    """Describe a run of the probe's script, or of other software."""

    def describe(
        script: str = "true",
        *,
        run: str | None = None,
        attempt: int = 1,
        software: str = "probe",
        resources: dict[str, int] | None = None,
        **details: Any,
    ) -> dict[str, Any]:
        parameters = {"script": script, **details.pop("parameters", {})}
        return {
            "run": run or str(uuid.uuid4()),
            "attempt": attempt,
            "software": software,
            "parameters": parameters if software == "probe" else details.pop("values", {}),
            "analyses": [],
            "resources": {"cores": 1, "memory_mib": 512, "walltime_s": 60, **(resources or {})},
            "files": [],
            "carry": None,
            **details,
        }

    return describe


def wait_for(path: Path, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not appear"
        time.sleep(0.005)


def beating(
    agent: AgentProcess, portal: FakePortal, spec: Callable[..., dict[str, Any]]
) -> tuple[tuple[str, int], Path]:
    """Have a program run that writes a file again and again; return its attempt and the file."""
    beat = agent.folder / "beat"
    key = portal.want(spec(f"while :; do echo x >>{beat}; sleep 0.02; done"))
    wait_for(beat)
    portal.until(lambda: portal.states.get(key) == "running")
    return key, beat


def assert_still(beat: Path) -> None:
    """Nobody writes the file any more."""
    size = beat.stat().st_size
    time.sleep(0.2)
    assert beat.stat().st_size == size


@pytest.fixture
def appears() -> Callable[[Path], None]:
    return wait_for
