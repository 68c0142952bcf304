"""An agent that changes itself: real files, real processes, and each way in which it may fail."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters import agent_file
from clusters.agent import guarding, procfs, updating
from clusters.agent.updating import read_marker, write_marker
from tests.clusters.agent.conftest import AgentProcess, wait_for
from tests.clusters.agent.fake_portal import PATIENCE_S, FakePortal

Describe = Callable[..., dict[str, Any]]
NEW, OLD = "7.1.0", "0.0.9"
BAD_MAIN = """
import sys
if "run" in sys.argv:
    sys.exit("the new version cannot work here")
from clusters.agent.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    target = tmp_path_factory.mktemp("built") / "labportal-agent.pyz"
    agent_file.build(target)
    return target.read_bytes()


def of_version(file: bytes, version: str, **changed: str) -> bytes:
    """The same agent under another number; `changed`: other texts by module, `main` the first."""
    texts = {"clusters/agent/__init__.py": f'__version__ = "{version}"\n'}
    texts |= {f"__{name}__.py": text for name, text in changed.items()}
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file)) as old, zipfile.ZipFile(made, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, texts.get(entry.filename, old.read(entry)))
    return made.getvalue()


class OneFile(AgentProcess):
    """An agent that runs from labportal-agent.pyz."""

    @property
    def file(self) -> Path:
        return self.folder / "labportal-agent.pyz"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.file), "--config", str(self.config), *arguments]

    def others(self) -> list[int]:
        """Processes of this agent that are not our child: a guard, or an agent that it began."""
        found = []
        for folder in procfs.PROC.iterdir():
            with contextlib.suppress(OSError):
                if folder.name.isdigit() and str(self.config) in (folder / "cmdline").read_text():
                    found.append(int(folder.name))
        return [pid for pid in found if self.process is None or pid != self.process.pid]


@pytest.fixture
def agent(tmp_path: Path, portal: FakePortal, built: bytes) -> Iterator[OneFile]:
    agent = OneFile(tmp_path, portal)
    agent.file.write_bytes(built)
    agent.start()
    heard(portal, lambda request: True)
    yield agent
    if agent.process is not None and agent.process.poll() is None:
        agent.kill()
    for pid in agent.others():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def heard(portal: FakePortal, when: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Wait for a request of which that is true."""
    return portal.until(lambda: next((r for r in portal.requests if when(r)), None), 30)


def is_of(version: str) -> Callable[[dict[str, Any]], bool]:
    return lambda request: request["agent"]["version"] == version


def problem_of(portal: FakePortal) -> str:
    def told(request: dict[str, Any]) -> str:
        return request["capacity"].get("update", {}).get("problem", "")

    return told(heard(portal, told))


def test_it_becomes_the_new_version_and_its_programs_run_on(
    agent: OneFile, portal: FakePortal, built: bytes, spec: Describe, signals: Path
) -> None:
    key = portal.want(
        spec(f"touch {signals}/began; while ! [ -e {signals}/go ]; do sleep 0.05; done")
    )
    wait_for(signals / "began")
    new = of_version(built, NEW)
    portal.want_update(new, NEW)
    request = heard(portal, is_of(NEW))
    assert request["capacity"]["file_sha256"] == portal.update["sha256"]
    assert agent.process.poll() is None, "it is the same process"
    assert agent.file.read_bytes() == new
    second = subprocess.run(agent.command("run"), env=agent.environment(), check=False)
    assert second.returncode == 75, "and it holds its lock"
    heard(portal, lambda r: is_of(NEW)(r) and any(e["state"] == "running" for e in r["runs"]))
    (signals / "go").touch()
    assert portal.report_of(key)["outcome"]["verdict"] == "valid"
    deadline = time.monotonic() + PATIENCE_S
    while (agent.work / updating.MARKER).exists() or agent.others():
        assert time.monotonic() < deadline, "the guard leaves, and takes the old file with it"
        time.sleep(0.05)
    assert not list(agent.folder.glob("*.previous")) and not list(agent.folder.glob(".*.new"))
    assert f"the agent is now of version {NEW}" in agent.log()
    agent.terminate()
    assert agent.process.returncode == 0


def test_what_is_not_what_was_announced_is_not_taken(
    agent: OneFile, portal: FakePortal, built: bytes
) -> None:
    portal.want_update(of_version(built, NEW), NEW, sha256="0" * 64)
    assert "SHA-256" in problem_of(portal)
    assert portal.downloads == 1
    assert agent.file.read_bytes() == built
    assert "is not changed to version 7.1.0" in agent.log()


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"main": "this is no Python"}, "SyntaxError"), ({"main": "print('other 1.0')"}, "other 1.0")],
)
def test_a_version_that_does_not_start_here_is_not_taken(
    changed: dict[str, str], words: str, agent: OneFile, portal: FakePortal, built: bytes
) -> None:
    portal.want_update(of_version(built, NEW, **changed), NEW)
    assert words in problem_of(portal)
    assert agent.file.read_bytes() == built and not list(agent.folder.glob(".*.new"))


def test_an_older_version_is_taken_only_when_asked_expressly(
    agent: OneFile, portal: FakePortal, built: bytes
) -> None:
    older = of_version(built, OLD)
    portal.want_update(older, OLD)
    assert "newer" in problem_of(portal) and portal.downloads == 0
    portal.want_update(older, OLD, may_go_back=True)
    heard(portal, is_of(OLD))


def test_each_wish_is_tried_once(
    agent: OneFile, portal: FakePortal, built: bytes, spec: Describe
) -> None:
    portal.want_update(of_version(built, NEW), NEW, sha256="0" * 64)
    problem_of(portal)
    portal.report_of(portal.want(spec()))  # many replies, each with the same wish
    assert portal.downloads == 1


def test_a_version_that_ends_at_once_is_backed_out(
    agent: OneFile, portal: FakePortal, built: bytes
) -> None:
    portal.want_update(of_version(built, NEW, main=BAD_MAIN), NEW)
    assert "ended at once; the old one is back" in problem_of(portal)
    assert agent.file.read_bytes() == built
    assert agent.process.wait(PATIENCE_S) != 0 and agent.others(), "the old one was begun anew"
    downloads = portal.downloads
    portal.want_update(of_version(built, NEW), NEW)
    heard(portal, is_of(NEW))
    assert portal.downloads == downloads + 1


def test_who_ends_an_agent_ends_it_for_good(
    agent: OneFile, portal: FakePortal, built: bytes
) -> None:
    portal.want_update(of_version(built, NEW), NEW)
    heard(portal, is_of(NEW))
    agent.terminate()
    deadline = time.monotonic() + PATIENCE_S
    while agent.others():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert agent.process.returncode == 0


@pytest.fixture
def trial(tmp_path: Path) -> dict[str, Any]:
    """A version on trial, as the old one leaves it to its guard."""
    (tmp_path / "agent").write_text("new")
    (tmp_path / "agent.previous").write_text("old")
    note = {
        "state": "trial",
        "target": str(tmp_path / "agent"),
        "previous": str(tmp_path / "agent.previous"),
        "arguments": ["run"],
    }
    write_marker(tmp_path / updating.MARKER, note)
    return note


def test_a_guard_ends_a_version_that_is_not_heard(trial: dict[str, Any], tmp_path: Path) -> None:
    new = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    start = procfs.read_stat(new.pid).start
    began: list[dict[str, Any]] = []
    marker = tmp_path / updating.MARKER
    assert not guarding.watch(marker, new.pid, start, trial_s=0.1, restart=began.append)
    assert new.wait(5) == -signal.SIGTERM
    assert (tmp_path / "agent").read_text() == "old" and began == [trial]
    assert read_marker(marker)["state"] == "backed_out"
    assert "reached no portal" in read_marker(marker)["problem"]


def test_a_guard_leaves_a_version_that_passed(trial: dict[str, Any], tmp_path: Path) -> None:
    marker = tmp_path / updating.MARKER
    write_marker(marker, {**trial, "state": "passed"})
    start = procfs.read_stat(os.getpid()).start
    assert guarding.watch(marker, os.getpid(), start, trial_s=60)
    assert (tmp_path / "agent").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["agent"]


def test_a_lock_is_taken_over_only_where_it_is_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "agent.lock", tmp_path / "other"
    for file, good in ((path, True), (other, False)):
        path.touch()
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
        monkeypatch.setenv(updating.LOCK_VARIABLE, str(descriptor))
        assert (updating.adopt_lock(path) == descriptor) is good
        assert updating.LOCK_VARIABLE not in os.environ, "programs do not inherit it"
        os.close(descriptor)
    monkeypatch.setenv(updating.LOCK_VARIABLE, "no number")
    assert updating.adopt_lock(path) is None
