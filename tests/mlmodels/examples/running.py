"""Examples as servers that answer, started as a process or in a container, and calls of them."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusters.agent.contract import Subject, Terms
from clusters.agent.contract_calls import Caller, NoAnswer
from clusters.agent.contract_command import started
from mlmodels.examples.bundle import bundle, describe
from tests.clusters.agent.runtimes.arranging import until

PROCESS = (sys.executable, "program.py")


@dataclass(frozen=True)
class Running:
    """A server that has answered /ping by 200."""

    subject: Subject

    def call(
        self, body: bytes, content_type: str = "application/json", **headers: str
    ) -> tuple[int, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(self.subject.host, self.subject.port, timeout=60)
        connection.request("POST", "/invocations", body, {"Content-Type": content_type, **named})
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer

    def answer(self, body: bytes, content_type: str = "application/json", **headers: str) -> Any:
        status, said = self.call(body, content_type, **headers)
        assert status == 200, said
        return json.loads(said)

    def complaint(self, body: bytes, content_type: str = "application/json") -> str:
        """Return what a bad body is told."""
        status, said = self.call(body, content_type)
        assert status == 400, said
        return str(json.loads(said)["error"])


@contextmanager
def running(command: Sequence[str], folder: Path | None = None) -> Iterator[Running]:
    with started(command, folder=folder) as subject:
        until(lambda: is_ready(subject), seconds=90)
        yield Running(subject)


def is_ready(subject: Subject) -> bool:
    assert subject.ended is not None and subject.ended() is None
    try:
        return Caller(subject.host, subject.port).ping(5).status == 200
    except NoAnswer:
        return False


@contextmanager
def example(name: str, folder: Path) -> Iterator[Running]:
    """Run an example as a process, with this environment's packages."""
    with running(PROCESS, bundle(name, folder / name)) as server:
        yield server


def terms_of(name: str) -> Terms:
    described = describe(name)
    return Terms(
        startup_s=described["startup_s"],
        accepts=tuple(described["accepts"]),
        example=(described["accepts"][0], described["example"].encode()),
    )
