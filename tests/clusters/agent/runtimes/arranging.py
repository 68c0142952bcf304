"""Launches as the agent makes them."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clusters.agent.runtimes.base import Launch, ServingSpec
from tests.clusters.agent.fake_portal import PATIENCE_S


def spec_of(**named: Any) -> ServingSpec:
    given = {"runtime": "container", "name": "echo", "model": "echo", "version": 1}
    return ServingSpec(**{"replica": str(uuid.uuid4()), "memory_mib": 64, **given, **named})


def launch_of(spec: ServingSpec, folder: Path, number: int = 1, **named: Any) -> Launch:
    folder = folder / spec.replica / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    given = {"host": "127.0.0.1", "port": free_port(), "model_dir": None}
    given["environment"] = dict(spec.environment)
    return Launch(spec, number, folder, log=folder / "launch.log", **{**given, **named})


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def ask(port: int, path: str = "/ping") -> tuple[int, str]:
    """Return status and body as soon as somebody answers."""
    return until(lambda: _asked(port, path))


def _asked(port: int, path: str) -> tuple[int, str] | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return None


def until(look: Callable[[], Any], *, seconds: float = PATIENCE_S) -> Any:
    """Return what `look` returns once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing within {seconds} s")
