"""One real Slurm for all tests of this folder, and an agent that uses it beside a fake portal."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clusters.agent.conftest import AgentProcess
from tests.clusters.agent.fake_portal import PATIENCE_S, FakePortal
from tests.slurm.site import SlurmSite, missing

SETTINGS = (
    "scheduler = slurm\n[scheduler]\npoll_s = 0.5\n"
    "missing_s = 2\nsubmit_pause_s = 0.5\npatience_s = 5\n"
)
MARKS = (pytest.mark.slurm, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(180))


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker has the only Slurm; what has waited long enough meanwhile comes last."""
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        for mark in MARKS:
            item.add_marker(mark)


def _site(factory: pytest.TempPathFactory, *, books: bool) -> Iterator[SlurmSite]:
    lacks = missing(books=books)
    if lacks:
        pytest.skip(f"no Slurm can be started here without {', '.join(lacks)}")
    site = SlurmSite(factory.mktemp("slurm"), books=books)
    try:
        yield site.start()
    finally:
        site.stop()


@dataclass
class Overdue:
    """A run that goes over its minute while the other tests are at work: Slurm's limits are whole
    minutes, and are looked at twice in each.
    """

    portal: FakePortal
    agent: AgentProcess
    key: tuple[str, int]


@pytest.fixture(scope="session")
def started(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[SlurmSite, Overdue]]:
    for site in _site(tmp_path_factory, books=True):
        portal = FakePortal()
        agent = AgentProcess(tmp_path_factory.mktemp("overdue"), portal, SETTINGS, site.environment)
        asked = {"cores": 1, "memory_mib": 100, "walltime_s": 30, "partition": "spare"}
        run = {"run": str(uuid.uuid4()), "attempt": 1, "software": "probe", "resources": asked}
        run["parameters"] = {"script": "echo begun; sleep 600"}
        key = portal.want({**run, "analyses": [], "files": [], "carry": None})
        agent.start()
        try:
            yield site, Overdue(portal, agent, key)
        finally:
            agent.kill()
            portal.close()


@pytest.fixture
def site(started: tuple[SlurmSite, Overdue]) -> SlurmSite:
    return started[0]


@pytest.fixture
def overdue(started: tuple[SlurmSite, Overdue]) -> Overdue:
    return started[1]


@pytest.fixture(scope="session")
def site_without_books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmSite]:
    yield from _site(tmp_path_factory, books=False)


@pytest.fixture
def agent(tmp_path: Path, portal: FakePortal, site: SlurmSite) -> Iterator[AgentProcess]:
    """An agent of which each job is ended with the test."""
    agent = AgentProcess(tmp_path, portal, SETTINGS, site.environment)
    yield agent
    if agent.process is not None and agent.process.poll() is None:
        agent.kill()
    site.run("scancel", "--partition=debug")
    site.run("scancel", "--partition=urgent")


@pytest.fixture
def task(spec: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Describe a run that fits the site."""

    def describe(script: str = "true", **details: Any) -> dict[str, Any]:
        asked = {"memory_mib": 100, **details.pop("resources", {})}
        return spec(script, resources=asked, **details)

    return describe


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
    return found
