"""A model of a scenario: as a moderator sees it, with what the database says of its replicas."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.client import Client, Refused
from bench.stack import PASSWORD
from tests.chaos.book import until
from tests.chaos.lab import Lab
from tests.chaos.serving_site import KEEPER

SERVER = Path(__file__).parents[1] / "clusters" / "agent" / "serving" / "server.py"
REPLICAS = """
    SELECT r.id::text, r.state, r.launch, r.restarts, r.address, r.why, v.number
    FROM mlmodels_replica r JOIN mlmodels_modelversion v ON v.id = r.version_id
    WHERE v.model_id = %s AND r.removed_at IS NULL ORDER BY r.created_at"""
MODEL = "SELECT state, why FROM mlmodels_registeredmodel WHERE id = %s"
NUMBER = "SELECT id FROM mlmodels_registeredmodel WHERE name = %s"
EVENTS = """
    SELECT to_char(at, 'HH24:MI:SS.MS'), verb, note FROM mlmodels_modelevent
    WHERE model_id = %s ORDER BY id"""

_numbers = itertools.count(1)


class Model:
    """A model as a moderator sees it, with what the database says of its replicas."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.name = f"chaos-{next(_numbers)}"
        self.folder = lab.here.models / self.name
        self.folder.mkdir()
        shutil.copy(SERVER, self.folder)

    def post(self, path: str, document: Any = None, *, method: str = "POST") -> Any:
        """Ask as the moderator does; a token that has run out is replaced."""
        with Client(self.lab.stack.url) as client:
            client.sign_in(KEEPER, PASSWORD)
            status, body = client.request(method, f"/api/v1/models{path}", document)
            if status >= 400:
                raise Refused(f"{path}: {status} {body[:2000].decode(errors='replace')}")
            return json.loads(body) if body else None

    def register(self) -> Model:
        self.post("", {"name": self.name, "clusters": [self.lab.here.cluster]})
        self.id = self.lab.ask(NUMBER, self.name)[0][0]
        self.add_version()
        return self

    def add_version(self) -> int:
        number = getattr(self, "number", 0) + 1
        described = {
            "runtime": "process",
            "folder": str(self.folder),
            "command": ["python3", "server.py", "serve"],
            "environment": {"VERSION": str(number)},
            "accepts": ["application/json"],
            "example": "{}",
            "memory_mib": 256,
            "startup_s": 60,
        }
        self.post(f"/{self.name}/versions", described)
        self.number = number
        return number

    def start(self) -> Model:
        self.post(f"/{self.name}/start", {})
        return self

    def remove(self) -> None:
        if self.lab.ask(NUMBER, self.name):  # a name is free again once its model is deleted
            self.post(f"/{self.name}", method="DELETE")
        until(lambda: not self.replicas(), self.story)

    # What is

    def replicas(self) -> list[dict[str, Any]]:
        names = ("id", "state", "launch", "restarts", "address", "why", "version")
        return [dict(zip(names, row, strict=True)) for row in self.lab.ask(REPLICAS, self.id)]

    @property
    def state(self) -> str:
        rows = self.lab.ask(MODEL, self.id)
        return rows[0][0] if rows else ""

    def until(self, state: str, *, launch: int | None = None) -> dict[str, Any]:
        """Wait until the model and its only replica are in a state; return the replica."""

        def found() -> dict[str, Any] | None:
            rows = self.replicas()
            same = len(rows) == 1 and rows[0]["state"] == state == self.state
            known = same and launch in (None, rows[0]["launch"])
            return rows[0] if known else None

        return until(found, lambda: f"{state} {launch or ''}: {self.story()}")

    def call(self, replica: dict[str, Any]) -> dict[str, Any]:
        """Call a replica's own server, past the portal."""
        url = f"http://{replica['address']}/invocations"
        with urllib.request.urlopen(url, data=b"{}", timeout=5) as answer:
            return json.load(answer)

    def story(self) -> str:
        told = [self.lab.ask(MODEL, self.id), *self.replicas()]
        told += self.lab.ask(EVENTS, self.id)
        tails = [f"--- {name}\n{self.lab.stack.tail(name, 1500)}" for name in ("web", "worker")]
        tails.append(f"--- agent\n{self._agent_log()}")
        return "\n".join(map(str, [*told, *tails]))

    def _agent_log(self) -> str:
        path = self.lab.stack.work(self.lab.here.number) / "agent.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""


@contextlib.contextmanager
def model(lab: Lab) -> Iterator[Model]:
    """A model that is registered and has one version; it is removed in the end."""
    made = Model(lab).register()
    try:
        yield made
    finally:
        lab.tidy()
        made.remove()


class Calls:
    """Calls one after the other through the portal, in a thread, from the first good answer on."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.answers: list[tuple[int, bytes]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()
        until(lambda: self.answers, lambda: f"no good answer: {model.story()}")

    def _call(self) -> None:
        path = f"/api/v1/models/{self.model.name}/invocations"
        with Client(self.model.lab.stack.url) as client:
            client.sign_in(KEEPER, PASSWORD)
            while not self._over.is_set():
                answer = client.request("POST", path, {})
                if self.answers or answer[0] == 200:
                    self.answers.append(answer)
                time.sleep(0.02)

    def end(self) -> list[tuple[int, bytes]]:
        self._over.set()
        self._thread.join(70)
        return self.answers
