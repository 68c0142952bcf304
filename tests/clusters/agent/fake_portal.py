"""A portal of a few lines for the agent's tests: the exchange, files, and every way to be
difficult.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from clusters.agent import protocol
from clusters.agent.protocol import (
    TERMINAL,
    AgentState,
    ServingVerb,
    Verb,
    instruction,
    serving_instruction,
)

KEY = "lpk_test_secret"
PATIENCE_S = 60.0  # of a busy machine; what is right comes sooner


class FakePortal:
    def __init__(self) -> None:
        self.lock = threading.Condition(threading.RLock())
        self.desired = 0
        self.execute: dict[tuple[str, int], dict[str, Any]] = {}
        self.verbs: dict[tuple[str, int], dict[str, Any]] = {}
        self.purge: dict[str, dict[str, Any]] = {}
        self.purged: dict[str, int] = {}
        self.tombstones: dict[str, dict[str, Any]] = {}
        self.reports: list[dict[str, Any]] = []
        self.states: dict[tuple[str, int], str] = {}
        self.closed: set[tuple[str, int]] = set()
        self.hold_close = False
        self.events: dict[int, dict[str, Any]] = {}
        self.requests: list[dict[str, Any]] = []
        self.encodings: list[str | None] = []
        self.answers: deque[tuple[int, dict[str, Any]]] = deque()  # instead of proper ones
        self.raw: deque[Any] = deque()  # replies as they are, instead of proper ones
        self.acknowledge = True
        self.down = False
        self.released = 0
        self.files: dict[str, bytes] = {}
        self.models: dict[str, dict[str, Any]] = {}  # what is wanted of each replica
        self.traffic: dict[str, dict[str, Any]] = {}
        self.secrets: dict[str, dict[str, str]] = {}  # of each replica
        self.asked: list[str] = []  # files and environments of models
        self.ranges = True  # whether files are sent from where they broke off
        self.uploads: dict[tuple[str, int, str], bytes] = {}
        self.refuse_upload: int | None = None
        self.update: dict[str, Any] | None = None
        self.reset = False
        self.agent_file = b""
        self._said: set[str] = set()  # wishes for an update that were told
        self.downloads = 0
        self.settings = {"exchange_s": 30, "metrics_s": 60, "log_bytes_per_minute": 1_000_000}
        self._newest = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # killed agents
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    # What a test says

    def want(self, spec: dict[str, Any]) -> tuple[str, int]:
        key = spec["run"], spec["attempt"]
        with self.lock:
            self.execute[key] = spec
            self._say()
        return key

    def want_model(self, spec: dict[str, Any], generation: int = 1) -> str:
        """Have a replica served by the agent from now on."""
        self.tell_model(spec["replica"], ServingVerb.SERVE, generation=generation, spec=spec)
        return spec["replica"]

    def tell_model(self, replica: str, verb: ServingVerb, **details: Any) -> None:
        with self.lock:
            known = self.models.get(replica, {})
            self.models[replica] = {**known, **details, "verb": verb}
            self._say()

    def model(self, replica: str) -> dict[str, Any]:
        """Return what the agent last said of a replica; nothing where it lists it no more."""
        with self.lock:
            told = self.requests[-1]["serving"] if self.requests else []
        return next((entry for entry in told if entry["replica"] == replica), {})

    def until_model(
        self, replica: str, state: str, seconds: float = PATIENCE_S, **more: Any
    ) -> dict[str, Any]:
        """Wait until the agent says that a replica is in a state; return what it says."""

        def found() -> dict[str, Any] | None:
            entry = self.model(replica)
            same = all(entry.get(name) == value for name, value in more.items())
            return entry if entry.get("state") == state and same else None

        try:
            return self.until(found, seconds)
        except AssertionError:
            raise AssertionError(f"not {state} {more}: {self.model(replica)}") from None

    def want_update(self, file: bytes, version: str, **details: Any) -> None:
        sha256 = hashlib.sha256(file).hexdigest()
        wish = {"version": version, "url": self.url, "sha256": sha256, "asked": str(uuid.uuid4())}
        with self.lock:
            self.agent_file, self.update = file, {**wish, **details}
            self._say()

    def tell(self, key: tuple[str, int], verb: Verb, **details: Any) -> None:
        with self.lock:
            self.verbs[key] = instruction(*key, verb, **details)
            self._say()

    def want_purged(self, run: str, keep: list[str], attempt: int | None = None) -> None:
        """Without `attempt` as a portal of an earlier version asks."""
        details = {} if attempt is None else {"attempt": attempt}
        with self.lock:
            self.purge[run] = {"run": run, "verb": "purge", "keep": keep, **details}
            self._say()

    def _say(self) -> None:
        self.desired += 1
        self.lock.notify_all()

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
        """Wait until the condition holds; the portal's lock is held while it is looked at."""
        deadline = time.monotonic() + seconds
        with self.lock:
            while True:
                found = condition()
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    lost = [report["why"] for report in self.reports if report.get("why")]
                    told = f"not within {seconds} s; states: {self.states} {lost or ''}"
                    raise AssertionError(told)
                self.lock.wait(min(left, 0.05))

    def report_of(self, key: tuple[str, int], seconds: float = PATIENCE_S) -> dict[str, Any]:
        return self.until(
            lambda: next((r for r in self.reports if (r["run"], r["attempt"]) == key), None),
            seconds,
        )

    def texts(self, service: str = "program") -> list[str]:
        with self.lock:
            found = sorted(self.events.items())
        return [e["text"] for _, e in found if e["kind"] == "log" and e["service"] == service]

    # What the portal does

    def exchange(self, request: dict[str, Any]) -> dict[str, Any] | None:
        with self.lock:
            self.requests.append(request)
            self._newest += 1
            number = self._newest
            self.lock.notify_all()
            for event in request["events"]:
                if self.acknowledge:
                    self.events.setdefault(event["seq"], event)
            for entry in request["purged"]:
                self.purged[entry["run"]] = entry["freed_bytes"]
                self.tombstones[entry["run"]] = entry
                self.purge.pop(entry["run"], None)
            deadline = time.monotonic() + request["wait_s"]
            while True:
                instructions = self._instructions(request)
                serving = self._serving(request)
                said = [*instructions, *(i for i in serving if not self._is_done(i, request))]
                speaks = any(i["verb"] != "keep" for i in said) or self._wishes()
                if speaks or self.down or time.monotonic() >= deadline:
                    break
                self.lock.wait(deadline - time.monotonic())
                if number != self._newest:
                    self.released += 1
                    return None
            self.lock.notify_all()
            return protocol.reply(
                desired=self.desired,
                acknowledged=max(self.events, default=0),
                runs=instructions,
                serving=serving,
                settings=self.settings,
                update=self.update,
                reset=self.reset,
            )

    def _serving(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        listed = {entry["replica"]: entry for entry in request["serving"]}
        found = []
        for name in {**self.models, **listed}:
            wanted, entry = self.models.get(name), listed.get(name)
            if wanted is None or wanted["verb"] is ServingVerb.REMOVE:
                if entry is not None:
                    found.append(serving_instruction(name, ServingVerb.REMOVE))
                continue
            verb, generation = wanted["verb"], wanted["generation"]
            if verb is ServingVerb.STOP:
                found.append(serving_instruction(name, verb, generation=generation, why="asked"))
            elif entry is None or entry["generation"] < generation:
                spec = wanted["spec"]
                found.append(serving_instruction(name, verb, generation=generation, spec=spec))
            else:
                traffic = self.traffic.get(name, {"in_flight": 0, "answered_s": None})
                keep = ServingVerb.KEEP
                found.append(
                    serving_instruction(name, keep, generation=generation, traffic=traffic)
                )
        return found

    def _is_done(self, told: dict[str, Any], request: dict[str, Any]) -> bool:
        """Whether the agent does already what an instruction says."""
        states = {entry["replica"]: entry["state"] for entry in request["serving"]}
        ends = told["verb"] in ("stop", "remove")
        return ends and states.get(told["replica"]) in ("stopping", "stopped")

    def _wishes(self) -> bool:
        """Whether an update is wanted that was not told yet; it is told now."""
        asked = {self.update["asked"]} if self.update else set()
        new = asked - self._said
        self._said |= new
        return bool(new) or self.reset

    def _instructions(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        found = []
        listed = set()
        for entry in request["runs"]:
            key = entry["run"], entry["attempt"]
            listed.add(key)
            self.states[key] = entry["state"]
            found.append(self._verb(key, entry))
        for key, spec in self.execute.items():
            if key not in listed and key not in self.closed:
                found.append(instruction(*key, Verb.EXECUTE, lease_s=300, spec=spec))
        found += self.purge.values()
        return found

    def _verb(self, key: tuple[str, int], entry: dict[str, Any]) -> dict[str, Any]:
        if key in self.verbs and self.verbs[key]["verb"] == "abandon":
            return self.verbs[key]
        if AgentState(entry["state"]) in TERMINAL:
            if not any((r["run"], r["attempt"]) == key for r in self.reports):
                self.reports.append(entry)
            if not self.hold_close:
                self.closed.add(key)
                return instruction(*key, Verb.CLOSE)
        return self.verbs.get(key) or instruction(*key, Verb.KEEP)


def _handler(portal: FakePortal) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
            head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
            if status == 204:
                head.pop(1)
            self.wfile.write("\r\n".join([*head, "", ""]).encode() + body)

        def _problem(self, status: int, **words: Any) -> None:
            self._answer(status, json.dumps(words).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Authorization"] != f"Api-Key {KEY}":
                return self._problem(401, code="wrong_key", detail="the key is wrong")
            if portal.down:
                return self._problem(503)
            if portal.answers:
                status, words = portal.answers.popleft()
                return self._problem(status, **words)
            encoding = self.headers["Content-Encoding"]
            portal.encodings.append(encoding)
            if portal.raw:
                protocol.decode(body, encoding)
                return self._answer(200, json.dumps(portal.raw.popleft()).encode())
            reply = portal.exchange(protocol.decode(body, encoding))
            if portal.down:
                return self._problem(503)
            if reply is None:
                return self._answer(204)
            content, packed = protocol.encode(reply)
            return self._answer(200, content, **({"Content_Encoding": packed} if packed else {}))

        def do_GET(self) -> None:
            if self.path == protocol.DOWNLOAD_PATH:
                portal.downloads += 1
                return self._answer(200, portal.agent_file)
            if "/replicas/" in self.path:
                return self._of_model()
            name = unquote(self.path.split("/files/", 1)[1])
            if name not in portal.files:
                return self._problem(404, detail="no such file")
            return self._answer(200, portal.files[name])

        def _of_model(self) -> None:
            portal.asked.append(self.path)
            replica, _, rest = self.path.split("/replicas/", 1)[1].partition("/")
            if portal.down or self.headers["Authorization"] != f"Api-Key {KEY}":
                return self._problem(503)
            if rest == "environment":
                body = json.dumps({"environment": portal.secrets.get(replica, {})})
                return self._answer(200, body.encode())
            content = portal.files.get(unquote(rest.removeprefix("files/")))
            if content is None:
                return self._problem(404, detail="no such file")
            since = self.headers["Range"]
            if since and portal.ranges:
                return self._answer(206, content[int(since[6:-1]) :])
            return self._answer(200, content)

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if portal.down or portal.refuse_upload:
                return self._problem(portal.refuse_upload or 503, detail="refused")
            assert hashlib.sha256(body).hexdigest() == self.headers["X-Content-SHA256"]
            _, _, _, _, _, run, attempt, _, name = self.path.split("/", 8)
            portal.uploads[run, int(attempt), unquote(name)] = body
            return self._answer(201)

    return Handler
