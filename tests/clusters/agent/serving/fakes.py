"""A runtime without programs: each launch is a small HTTP server in this process, as scripted."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from clusters.agent.runtimes.base import Handle, Launch, Runtime, RuntimeFailed, ServingSpec, Status


@dataclass
class Script:
    """How the launches of one replica behave; tests change it while they run."""

    ping: int | str = 200  # a status, "hang" or "closed"
    example: int = 200
    prepare: Exception | None = None
    start: Exception | None = None
    deaf: bool = False  # to SIGTERM
    dies: Status | None = None  # at once after the start
    says: str = ""
    memory_mib: float = 100.0


@dataclass
class Running:
    """One launch that was started; what becomes of it outlives the runtime's object."""

    launch: Launch
    server: ThreadingHTTPServer | None
    reference: str
    ended: Status | None = None
    signals: list[str] = field(default_factory=list)
    removed: bool = False
    calls: int = 0


class World:
    """What really runs, whichever agent knows of it."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.running: list[Running] = []
        self.prepared: list[str] = []
        self.silent = False  # no runtime answers
        self.numbers = itertools.count(1)

    def script(self, replica: str) -> Script:
        return self.scripts.setdefault(replica, Script())

    def of(self, replica: str) -> list[Running]:
        return [one for one in self.running if one.launch.spec.replica == replica]

    def alive(self, replica: str) -> list[Running]:
        return [one for one in self.of(replica) if one.ended is None]

    def end(self, one: Running, status: Status) -> None:
        if one.ended is None:
            one.ended = status
            if one.server is not None:
                one.server.shutdown()
                one.server.server_close()

    def close(self) -> None:
        for one in self.running:
            self.end(one, Status(False, code=0))


class FakeRuntime(Runtime):
    def __init__(self, world: World, kind: str = "process") -> None:
        self.world = world
        self.kind = kind

    def about(self) -> dict[str, Any] | None:
        return {"version": "1", "rootless": True, "gpus": False}

    def prepare(self, spec: ServingSpec, folder: Path) -> dict[str, Any]:
        self.world.prepared.append(spec.replica)
        error = self.world.script(spec.replica).prepare
        if error is not None:
            raise error
        return {"image_id": "abc"}

    def start(self, launch: Launch) -> Handle:
        script = self.world.script(launch.spec.replica)
        if script.start is not None:
            raise script.start
        with launch.log.open("ab") as log:
            log.write(f"launch {launch.number}\n{script.says}".encode())
        one = Running(launch, None, f"fake-{next(self.world.numbers)}")
        if script.ping != "closed" and script.dies is None:
            one.server = _serve(one, self.world)
        one.ended = script.dies
        self.world.running.append(one)
        return Handle(self.kind, one.reference, launch.port)

    def find(self, replica: str, number: int) -> Handle | None:
        for one in self.world.of(replica):
            if one.launch.number == number and not one.removed:
                return Handle(self.kind, one.reference, one.launch.port)
        return None

    def status(self, handles: Sequence[Handle]) -> Mapping[str, Status]:
        if self.world.silent:
            raise RuntimeFailed("no answer")
        return {handle.reference: self._status(handle) for handle in handles}

    def _status(self, handle: Handle) -> Status:
        one = self._find(handle)
        if one is None:
            return Status(False, detail="gone")
        memory = self.world.script(one.launch.spec.replica).memory_mib
        return one.ended or Status(True, cpu_s=1.0, memory_mib=memory)

    def signal(self, handle: Handle, *, kill: bool = False) -> None:
        one = self._find(handle)
        if one is None or one.ended is not None:
            return
        one.signals.append("KILL" if kill else "TERM")
        if kill or not self.world.script(one.launch.spec.replica).deaf:
            self.world.end(one, Status(False, code=137 if kill else 0, signal=9 if kill else None))

    def remove(self, handle: Handle) -> None:
        one = self._find(handle)
        if one is not None:
            one.removed = True

    def strays(self, known: Sequence[str]) -> list[Handle]:
        return [
            Handle(self.kind, one.reference, one.launch.port)
            for one in self.world.running
            if one.launch.spec.replica not in known and not one.removed
        ]

    def _find(self, handle: Handle) -> Running | None:
        for one in self.world.running:
            if one.reference == handle.reference and not one.removed:
                return one
        return None


def _serve(one: Running, world: World) -> ThreadingHTTPServer:
    hold = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            ping = world.script(one.launch.spec.replica).ping
            if ping == "hang":
                hold.wait(1.0)
                return
            self._answer(int(ping) if isinstance(ping, int) else 500)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            one.calls += 1
            self._answer(world.script(one.launch.spec.replica).example)

    server = ThreadingHTTPServer((one.launch.host, one.launch.port), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def make_spec(**details: Any) -> dict[str, Any]:
    """Describe a replica whose probes follow each other fast."""
    replica = str(uuid.uuid4())
    return {
        "replica": replica,
        "name": f"echo-v1-{replica[:8]}",
        "model": "echo",
        "version": 1,
        "runtime": "process",
        "folder": "/models/echo",
        "command": ["./serve"],
        "cores": 1,
        "memory_mib": 256,
        "ping_s": 0.05,
        "ping_timeout_s": 0.2,
        "startup_s": 60,
        "stop_s": 20,
        **details,
    }


Specify = Callable[..., dict[str, Any]]
