"""The portal under test: bench's stack with the seeded lab, and how tests read its state."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from bench.client import Client
from bench.stack import Stack
from tests.e2e.seed import PASSWORD

SEED = "import json\nfrom tests.e2e.seed import seed\nprint(json.dumps(seed()))"
LEARN = """import json
from tests.e2e.seed import learn
print(json.dumps(learn(%d)))"""
ENDS = {name: name for name in ("valid", "not_valid", "failed", "running")}
SECONDS = 90


class Portal:
    """Web, worker and the agent of the first cluster; PySCF's runs go on while tests begin."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.url = stack.url
        self.things: dict[str, Any] = {}
        self._token = ""

    def begin(self) -> None:
        self.stack.begin_web()
        self.stack.start_worker()
        self.stack.start_agent(0, slots=3)
        self.stack.wait_for_web(SECONDS)
        self.stack.wait_for_agent(0, SECONDS)
        self.things = self.stack.python(SEED)

    @property
    def api(self) -> Client:
        """The REST interface as root sees it, on a connection of its own: idle ones are cut."""
        if not self._token:
            with Client(self.url) as client:
                person = {"username": "root", "password": PASSWORD}
                self._token = client.post("/api/v1/auth/token", person)["access"]
        return Client(self.url, authorization=f"Bearer {self._token}")

    def calculation(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(
            f"/api/v1/calculations/{self.things['calculations'][name]}/"
        )
        return found

    def wait_for(self, names: Iterable[str] = ENDS) -> None:
        """Wait until the calculations have ended as they were made to end, analyses included."""
        deadline = time.monotonic() + SECONDS
        for name in names:
            while not self._has_ended(name):
                if time.monotonic() > deadline:
                    found = self.calculation(name)
                    raise TimeoutError(f"{name}: {found['state']}\n{self.stack.tail('agent-0')}")
                time.sleep(0.2)

    def learn(self) -> None:
        """Add the names of what the runs have made: a run, a file of it, a line of its log."""
        self.things |= self.stack.python(LEARN % self.things["calculations"]["valid"])

    def _has_ended(self, name: str) -> bool:
        found = self.calculation(name)
        if found["state"] != ENDS[name]:
            return False
        across = [a for a in found["analysis_results"] if a["run"] is None]
        return name != "valid" or any(a["name"] == "polarizability" for a in across)
