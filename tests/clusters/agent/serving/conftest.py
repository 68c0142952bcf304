"""Arranges an agent in a thread, beside a fake portal and a fake runtime."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters.agent import config
from clusters.agent.agent import Agent
from tests.clusters.agent.conftest import _nothing_left_over, _quick_passwords, files_dir, portal
from tests.clusters.agent.fake_portal import KEY, PATIENCE_S, FakePortal
from tests.clusters.agent.probe import Probe
from tests.clusters.agent.serving.fakes import FakeRuntime, World

__all__ = ["_nothing_left_over", "_quick_passwords", "files_dir", "portal"]


SOFTWARE = {Probe.name: Probe()}  # not what an earlier test of this process had loaded
FIRST_PORT = 20_000 + os.getpid() % 600 * 20  # its own for each process of the tests


class Node:
    """One node's settings and folder; its agent is started and stopped as a test wants."""

    def __init__(self, folder: Path, portal: FakePortal, world: World) -> None:
        self.folder, self.portal, self.world = folder, portal, world
        self.work = folder / "work"
        self.serving = {
            "runtimes": "process",
            "ports": f"{FIRST_PORT}-{FIRST_PORT + 19}",
            "backoff_s": "0.05",
        }
        self.limits = {"cores": "8", "memory_mib": "4096", "gpus": "none"}
        self.agent: Agent | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Node:
        lines = ["[portal]", f"url = {self.portal.url}", f"key = {KEY}", "[agent]"]
        lines += [f"work = {self.work}", "slots = 2"]
        lines += [f"{name} = {value}" for name, value in self.limits.items()]
        lines += ["[serving]", *(f"{name} = {value}" for name, value in self.serving.items())]
        path = self.folder / "agent.ini"
        settings = config.parse("\n".join(lines), path)
        made = threading.Event()

        def run() -> None:
            runtimes = {"process": FakeRuntime(self.world)}
            self.agent = Agent(
                settings,
                software=SOFTWARE.__getitem__,
                look=dict,
                runtimes=lambda: runtimes,
            )
            made.set()
            self.agent.run()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert made.wait(PATIENCE_S)
        self.portal.until(self._heard)
        return self

    def _heard(self) -> bool:
        """Whether the portal has heard of this start of the agent."""
        requests = self.portal.requests
        return bool(requests and self.agent) and requests[-1]["agent"]["boot"] == self.agent.boot

    def serves(self, spec: dict[str, Any]) -> str:
        """Start with a model that is wanted; return its replica once it is ready."""
        replica = self.portal.want_model(spec)
        self.start()
        self.portal.until_model(replica, "ready")
        return replica

    def stop(self) -> None:
        """End the agent; what it has started goes on."""
        if self.agent is not None and self._thread is not None:
            self.agent.stop()
            self._thread.join(PATIENCE_S)
            self.agent = None

    def restart(self) -> None:
        self.stop()
        self.start()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture
def node(tmp_path: Path, portal: FakePortal, world: World) -> Iterator[Node]:
    node = Node(tmp_path, portal, world)
    portal.settings["exchange_s"] = 1
    yield node
    node.stop()
