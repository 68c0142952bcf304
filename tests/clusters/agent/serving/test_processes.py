"""Real servers as processes under a real agent, which is killed and comes back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters.agent.procfs import read_stat
from clusters.agent.protocol import ServingVerb
from tests.clusters.agent.conftest import AgentProcess
from tests.clusters.agent.fake_portal import FakePortal
from tests.clusters.agent.serving.conftest import FIRST_PORT
from tests.clusters.agent.serving.fakes import make_spec

SERVER = Path(__file__).with_name("server.py")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "echo"
    folder.mkdir(parents=True)
    shutil.copy(SERVER, folder)
    return folder


@pytest.fixture
def agent(tmp_path: Path, portal: FakePortal, model: Path) -> Iterator[AgentProcess]:
    agent = AgentProcess(tmp_path, portal)
    agent.serving = "\n".join(
        [
            "runtimes = process",
            f"folders = {model.parent}",
            f"ports = {FIRST_PORT}-{FIRST_PORT + 19}",
            "backoff_s = 0.1",
        ]
    )
    agent.settings(portal.url)
    portal.settings["exchange_s"] = 1
    yield agent
    for replica in list(portal.models):
        portal.tell_model(replica, ServingVerb.REMOVE)
    portal.until(lambda: not portal.requests[-1]["serving"])
    agent.terminate()


def server(model: Path, **details: Any) -> dict[str, Any]:
    command = ["python3", "server.py", "serve"]
    return make_spec(folder=str(model), command=command, ping_timeout_s=2, **details)


def process_of(entry: dict[str, Any]) -> int:
    url = f"http://{entry['address']}/invocations"
    with urllib.request.urlopen(url, data=b"{}", timeout=5) as answer:
        return int(json.load(answer)["process"])


def test_a_server_outlives_its_agent_and_a_killed_one_is_started_again(
    agent: AgentProcess, portal: FakePortal, model: Path
) -> None:
    spec = server(model, secrets=True)
    portal.secrets[spec["replica"]] = {"TOKEN": "t0p"}
    replica = portal.want_model(spec)
    agent.start()
    number = process_of(portal.until_model(replica, "ready"))
    agent.kill()
    asked = len(portal.requests)
    agent.start()
    portal.until(lambda: len(portal.requests) > asked)
    entry = portal.until_model(replica, "ready")
    assert (process_of(entry), entry["launch"]) == (number, 1)
    os.kill(number, signal.SIGKILL)
    entry = portal.until_model(replica, "ready", launch=2)
    assert process_of(entry) != number
    assert entry["exit"]["signal"] == signal.SIGKILL

    def lines() -> list[tuple[int, str]]:
        told = [e for _, e in sorted(portal.events.items()) if e.get("service") == "model"]
        return [(e["launch"], e["text"]) for e in told]

    portal.until(lambda: len(lines()) >= 2)  # the log is read less often than states are told
    assert lines() == [
        (1, "argument ['serve'] secret t0p"),
        (2, "argument ['serve'] secret t0p"),
    ]


def test_a_server_that_crashes_in_a_row_is_given_up_and_leaves_nothing(
    agent: AgentProcess, portal: FakePortal, model: Path
) -> None:
    (model / "crash").touch()
    replica = portal.want_model(server(model, give_up_after=2))
    agent.start()
    entry = portal.until_model(replica, "given_up")
    assert "it ended with exit code 1 before it was ready" in entry["why"]
    assert entry["tail"][-1] == "no weights here"
    logs = agent.work / "models" / replica / "logs"
    assert sorted(path.stem for path in logs.glob("*.log")) == ["2", "3"]
    (model / "crash").unlink()
    portal.want_model({**portal.models[replica]["spec"]}, generation=2)
    entry = portal.until_model(replica, "ready")
    number = process_of(entry)
    portal.tell_model(replica, ServingVerb.STOP)
    entry = portal.until_model(replica, "stopped")
    assert entry["exit"]["code"] == 0
    assert read_stat(number) is None


def test_a_folder_outside_of_what_the_settings_allow_is_refused(
    agent: AgentProcess, portal: FakePortal, tmp_path: Path
) -> None:
    replica = portal.want_model(server(tmp_path))
    agent.start()
    entry = portal.until_model(replica, "given_up")
    assert "do not let models run from" in entry["why"]


def test_a_version_under_test_is_started_tested_and_ended(
    agent: AgentProcess, portal: FakePortal, model: Path
) -> None:
    check = {"content_type": "application/json", "body": "{}"}
    spec = server(model, purpose="contract", check=check, accepts=["application/json"])
    replica = portal.want_model(spec)
    agent.start()
    entry = portal.until_model(replica, "stopped")
    made = {one["name"]: one["ok"] for one in entry["contract"]}
    assert {name for name, ok in made.items() if ok is False} == {"unsupported", "oversized"}
    assert made["serve"] and made["invocations"] and made["sigterm"]
    assert entry["launch"] == 1
    assert portal.until_model(replica, "stopped")["exit"]["code"] == 0


def test_a_test_that_nobody_wants_any_more_ends_with_its_server(
    agent: AgentProcess, portal: FakePortal, model: Path
) -> None:
    (model / "loading").touch()
    replica = portal.want_model(server(model, purpose="contract"))
    agent.start()
    portal.until_model(replica, "starting")
    portal.tell_model(replica, ServingVerb.REMOVE)
    portal.until(lambda: not portal.model(replica))
