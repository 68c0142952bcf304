"""Calls of a model through the portal, against the model called directly and nginx in front of it.

What is measured has a core to itself; callers and model share another. Each round asks all three,
so that whatever else the machine does falls on all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any

import psutil

from bench.stack import ROOT, Stack
from labportal.embedded import free_port

MODEL = """
import json
from clusters.models import Cluster
from labportal.accounts.models import User
from mlmodels.models import ModelVersion, RegisteredModel, Replica
admin = User.objects.get(username="admin")
model = RegisteredModel.objects.create(
    name="bench", created_by=admin, desired="running", state="ready", max_body_mib=1024,
    max_in_flight=1000, calls_per_minute=100_000_000)
version = ModelVersion.objects.create(
    model=model, number=1, runtime="process", folder="/", command=["serve"], created_by=admin,
    accepts=["application/json", "application/octet-stream"])
model.current = model.serving = version
model.save()
Replica.objects.create(version=version, cluster=Cluster.objects.first(), state="ready",
                       address="127.0.0.1:%d", told_generation=1)
print(json.dumps(model.pk))
"""
METERED = """
import json
from mlmodels.models import Invocation
print(json.dumps(Invocation.objects.filter(status=200).count()))
"""
NGINX = """
daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/f;
  uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  upstream model {{ server 127.0.0.1:{model}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://model; proxy_http_version 1.1;
                  proxy_set_header Connection ""; }}
  }}
}}
"""
PATH = "/api/v1/models/bench/invocations"
MEBIBYTE = 1 << 20


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16, help="that call at once")
    parser.add_argument("--slow", type=int, default=200, help="slow calls at once")
    parser.add_argument("--body-mib", type=int, default=100)


def run(options: argparse.Namespace) -> dict[str, Any]:
    measured, rest = _cores()
    with Stack(environment={"LABPORTAL_LOG": "text"}) as stack:
        model = free_port()
        stack.start("model", _command("model", str(model)))
        _wait(model)
        stack.python(MODEL % model)
        stack.start_web()
        ways = {"direct": (model, "model"), "portal": (stack.port, "web")}
        if shutil.which("nginx"):
            ways["nginx"] = (_nginx(stack, model), "nginx")
        _pin(stack, rest)
        with stack.client() as client:
            asked = {"token": client.token, "path": PATH, "seconds": options.seconds}
            rounds = [
                {
                    name: _both(stack, name, {**asked, "port": port}, options, measured, rest)
                    for name, (port, _) in ways.items()
                }
                for _ in range(options.rounds)
            ]
            more = _slow(stack, client.token, options.slow) | _large(
                stack, client.token, options.body_mib
            )
            calls = sum(each["n"] for one in rounds for each in one["portal"].values())
            calls += more["slow_answered"] + 1
        stack.stop("web")
        metered = stack.python(METERED)
    return _told(options, rounds) | more | {"calls": calls, "not_metered": calls - metered}


def _told(options: argparse.Namespace, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    def of(name: str, how: str, what: str) -> float:
        values = [one[name][how][what] for one in rounds if name in one]
        return round(statistics.median(values), 3) if values else 0.0

    direct = of("direct", "alone", "p50_ms")
    return {
        "name": "proxy",
        "seconds": options.seconds,
        "rounds": options.rounds,
        "connections": options.connections,
        "added_ms_p50": round(of("portal", "alone", "p50_ms") - direct, 3),
        "nginx_added_ms_p50": round(of("nginx", "alone", "p50_ms") - direct, 3),
        "per_s": of("portal", "many", "per_s"),
        "p50_ms": of("portal", "many", "p50_ms"),
        "p99_ms": of("portal", "many", "p99_ms"),
        "cpu_us": of("portal", "many", "cpu_us"),
        "nginx_cpu_us": of("nginx", "many", "cpu_us"),
        "direct_per_s": of("direct", "many", "per_s"),
        "nginx_per_s": of("nginx", "many", "per_s"),
        "goal": {"added_ms_p50": 1.0, "per_s": 2000},
    }


def _both(
    stack: Stack,
    name: str,
    asked: dict[str, Any],
    options: argparse.Namespace,
    measured: set[int],
    rest: set[int],
) -> dict[str, Any]:
    """Call one after the other on one connection, then on many. The model, called directly, has a
    core to itself as well.
    """
    process = {"portal": "web", "nginx": "nginx", "direct": "model"}[name]
    with _on(stack, process, measured, rest):
        found = {}
        for how, connections in (("alone", 1), ("many", options.connections)):
            document = json.dumps({**asked, "connections": connections})
            command = _command("calls", document)
            before = _busy_s(stack, process)
            made = subprocess.run(  # noqa: S603
                command, cwd=ROOT, check=True, stdout=subprocess.PIPE, preexec_fn=_at(rest)
            )
            found[how] = json.loads(made.stdout)
            busy = _busy_s(stack, process) - before
            found[how]["cpu_us"] = round(1e6 * busy / found[how]["n"], 1)
            print(f"{name} {how}: {found[how]}", file=sys.stderr)
    return found


def _busy_s(stack: Stack, name: str) -> float:
    """Processor time so far, which does not depend on what else the machine does."""
    process = psutil.Process(stack.processes[name].pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _slow(stack: Stack, token: str, count: int) -> dict[str, Any]:
    """Threads and memory of the portal while so many calls wait for a slow model."""
    web = psutil.Process(stack.processes["web"].pid)
    before = web.num_threads()
    lines = [_open(stack.port, token, b"{}", attributes="sleep=3") for _ in range(count)]
    time.sleep(1)
    threads = web.num_threads()
    good = 0
    for line in lines:
        with closing(line):
            good += line.recv(4096).startswith(b"HTTP/1.1 200")
    return {"slow_calls": count, "slow_answered": good, "threads_added": threads - before}


def _large(stack: Stack, token: str, mebibytes: int) -> dict[str, Any]:
    """How much the portal's memory grows while a large body passes."""
    web = psutil.Process(stack.processes["web"].pid)
    before = most = web.memory_info().rss
    ended = threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.01):
            most = max(most, web.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    piece = b"x" * MEBIBYTE
    try:
        with closing(HTTPConnection("127.0.0.1", stack.port, timeout=120)) as line:
            line.putrequest("POST", PATH)
            line.putheader("Authorization", f"Bearer {token}")
            line.putheader("Content-Type", "application/octet-stream")
            line.putheader("Content-Length", str(mebibytes * MEBIBYTE))
            line.endheaders()
            began = time.perf_counter()
            for _ in range(mebibytes):
                line.send(piece)
            status = line.getresponse().status
            took = time.perf_counter() - began
    finally:
        ended.set()
        watcher.join()
    if status != 200:
        raise RuntimeError(f"the large body was answered by {status}")
    grown = (most - before) / MEBIBYTE
    return {
        "body_mib": mebibytes,
        "body_mib_per_s": round(mebibytes / took),
        "memory_grown_mib": round(grown, 1),
    }


def _open(port: int, token: str, body: bytes, *, attributes: str) -> socket.socket:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-Amzn-SageMaker-Custom-Attributes: {attributes}\r\n\r\n"
    )
    line = socket.create_connection(("127.0.0.1", port), 30)
    line.sendall(head.encode() + body)
    return line


def _nginx(stack: Stack, model: int) -> int:
    port = free_port()
    config = stack.home / "nginx.conf"
    config.write_text(NGINX.format(home=stack.home, model=model, port=port))
    stack.start("nginx", ["nginx", "-c", str(config), "-e", str(stack.home / "nginx.log")])
    _wait(port)
    return port


def _cores() -> tuple[set[int], set[int]]:
    """One core for what is measured, the others for the rest."""
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others) or {first}


def _pin(stack: Stack, cores: set[int]) -> None:
    for process in stack.processes.values():
        _move(psutil.Process(process.pid), cores)
    for name in ("postgres", "redis"):
        server = stack.server(name)
        for each in (server, *server.children(recursive=True)):
            _move(each, cores)


@contextmanager
def _on(stack: Stack, name: str, cores: set[int], back: set[int]) -> Iterator[None]:
    process = psutil.Process(stack.processes[name].pid)
    _move(process, cores)
    try:
        yield
    finally:
        _move(process, back)


def _move(process: psutil.Process, cores: set[int]) -> None:
    for each in (process, *process.children(recursive=True)):
        for thread in each.threads():
            os.sched_setaffinity(thread.id, cores)


def _at(cores: set[int]) -> Any:
    return lambda: os.sched_setaffinity(0, cores)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bench.proxy_load", *arguments]


def _wait(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")
