"""How the agent speaks to the portal: held requests, errors, odd answers, portions,
acknowledgement.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from clusters.agent import protocol
from clusters.agent.protocol import Verb
from tests.clusters.agent.conftest import AgentProcess
from tests.clusters.agent.fake_portal import PATIENCE_S, FakePortal

Describe = Callable[..., dict[str, Any]]


def test_an_idle_agent_has_one_request_held(agent: AgentProcess, portal: FakePortal) -> None:
    agent.start()
    portal.until(lambda: portal.requests and portal.requests[-1]["wait_s"] == 25)
    time.sleep(1)
    with portal.lock:
        count = len(portal.requests)
    time.sleep(1.5)
    assert len(portal.requests) - count <= 2  # its own "begins" line at most


def test_news_goes_on_the_other_line_and_releases_the_held_request(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key = portal.want(spec("sleep 0.4"))
    report = portal.report_of(key)
    assert report["outcome"]["verdict"] == "valid"
    portal.until(lambda: portal.released)  # while the program slept, a request was held


def test_what_the_machine_is_and_has_is_told(agent: AgentProcess, portal: FakePortal) -> None:
    agent.start()
    request = portal.until(lambda: portal.requests and portal.requests[0])
    assert request["protocol"] == protocol.PROTOCOL
    assert set(request["agent"]) == {"id", "boot", "version", "host", "python", "clock"}
    capacity = request["capacity"]
    assert capacity["software"]["probe"] == {"version": "1.0", "ok": True, "problem": ""}
    assert capacity["cores"] >= 1
    assert capacity["memory_mib"] > 100
    assert capacity["disk_free_mib"] > 0
    assert capacity["scheduler"] == {"kind": "process", "version": ""}


def test_metrics_are_sent_in_the_rhythm_that_the_portal_sets(
    agent: AgentProcess, portal: FakePortal
) -> None:
    portal.settings["metrics_s"] = 1
    agent.start()
    portal.until(lambda: len(portal.requests) > 1)
    agent.kill()
    agent.start()  # the rhythm was taken in
    found = portal.until(
        lambda: [e for e in portal.events.values() if e["kind"] == "metrics" and e["cpu_percent"]],
    )
    assert 0 <= found[-1]["cpu_percent"] <= 100
    assert found[-1]["memory_total_mib"] >= found[-1]["memory_mib"] > 0


def test_long_requests_are_packed(agent: AgentProcess, portal: FakePortal, spec: Describe) -> None:
    agent.start()
    portal.report_of(portal.want(spec("yes a long line of output | head -100")))
    assert "gzip" in portal.encodings


@pytest.mark.parametrize("status", [500, 502, 503, 413])
def test_after_an_error_the_same_is_said_again(
    agent: AgentProcess, portal: FakePortal, spec: Describe, status: int
) -> None:
    agent.start()
    portal.until(lambda: portal.requests)
    portal.answers.extend([(status, {"detail": "no"})] * 2)
    key = portal.want(spec("echo x"))
    assert portal.report_of(key)["outcome"]["verdict"] == "valid"
    assert len(portal.reports) == 1


def test_a_portal_that_is_away_is_waited_for(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key = portal.want(spec("echo before; sleep 1; echo after"))
    portal.until(lambda: portal.states.get(key) == "running")
    portal.down = True
    time.sleep(2)
    portal.down = False
    assert portal.report_of(key)["outcome"]["verdict"] == "valid"
    assert portal.texts() == ["before", "after"]
    portal.until(lambda: "the portal answers again" in agent.log())


def test_a_wrong_key_is_logged_and_nothing_of_it_shown(
    agent: AgentProcess, portal: FakePortal
) -> None:
    text = agent.config.read_text().replace("lpk_test_secret", "lpk_other_hidden")
    agent.config.write_text(text)
    agent.start()
    deadline = time.monotonic() + PATIENCE_S
    while "does not accept the key" not in (agent.log() if agent.work.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "wrong_key" in agent.log()
    assert "hidden" not in agent.log()
    assert portal.requests == []


def test_another_protocol_lets_what_runs_go_on(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    ran = agent.folder / "ran"
    key = portal.want(spec(f"sleep 0.5; echo x >>{ran}"))
    portal.until(lambda: portal.states.get(key) == "running")
    portal.answers.append((426, {"download": "https://portal/agent.pyz"}))
    deadline = time.monotonic() + PATIENCE_S
    while not ran.exists() or "https://portal/agent.pyz" not in agent.log():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_agent_that_was_started_anew_elsewhere_asks_no_more(
    agent: AgentProcess, portal: FakePortal
) -> None:
    agent.start()
    portal.until(lambda: portal.requests)
    portal.answers.extend([(409, {"code": "newer-boot"})] * 2)
    with portal.lock:
        portal.want_purged("nothing", [])
    time.sleep(1)
    with portal.lock:
        count = len(portal.requests)
    time.sleep(0.5)
    assert len(portal.requests) == count
    assert agent.process is not None
    assert agent.process.poll() is None


def test_an_agent_that_was_started_anew_elsewhere_starts_nothing_more(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    """The newer one was told of the same runs; what runs here goes on."""
    agent.start()
    go, ended, ran = agent.folder / "go", agent.folder / "ended", agent.folder / "ran"
    waits = f"while [ ! -e {go} ]; do sleep 0.02; done; echo x >>{ended}"
    keys = [portal.want(spec(script)) for script in (waits, waits, f"echo x >>{ran}")]
    portal.until(
        lambda: [portal.states.get(key) for key in keys] == ["running"] * 2 + ["preparing"]
    )
    portal.answers.extend([(409, {"code": "newer-boot"})] * 2)
    portal.want_purged("nothing", [])
    deadline = time.monotonic() + PATIENCE_S
    while "asks no more" not in agent.log():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    go.touch()
    while not ended.exists() or len(ended.read_text().splitlines()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(1)
    assert not ran.exists()


ODD = [
    {},
    {"runs": "none", "desired": "x", "acknowledged": None, "settings": [], "agent": 3},
    {"runs": [None, 3, {}, {"verb": "dance", "run": "r", "attempt": 1}]},
    {"runs": [{"verb": "execute", "run": "r", "attempt": 1}]},
    {"runs": [{"verb": "execute", "run": "r", "attempt": 1, "spec": {"run": "other"}}]},
    {"runs": [{"verb": "execute", "run": "../r", "attempt": 1, "spec": {"run": "../r"}}]},
    {"runs": [{"verb": "cancel", "run": "r", "attempt": "1"}]},
    {"runs": [{"verb": "close", "run": "r", "attempt": True}]},
    {"runs": [{"verb": "purge", "run": "..", "keep": 7}]},
    {"runs": [{"verb": "purge", "run": "gone", "keep": None}]},
    {"settings": {"metrics_s": -5, "exchange_s": "soon", "unknown": 1}},
    [],
    "text",
    None,
]


def test_no_answer_however_odd_ends_the_agent(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    odd_spec = {
        "run": "r1",
        "attempt": 1,
        "software": "probe",
        "parameters": {"script": 5},
        "resources": {"cores": "many", "surprise": 1},
        "files": [{"name": 3}],
    }
    portal.raw.extend(ODD)
    portal.raw.append({"runs": [{"verb": "execute", "run": "r1", "attempt": 1, "spec": odd_spec}]})
    agent.start()
    for _ in range(40):  # each odd answer to be taken needs an exchange
        if not portal.raw:
            break
        portal.want_purged("nudge", [])
        time.sleep(0.5)
    agent.terminate()
    portal.raw.clear()
    agent.start()
    assert portal.report_of(portal.want(spec("true")))["outcome"]["verdict"] == "valid"
    assert portal.report_of(("r1", 1))["state"] == "lost"


def test_events_are_kept_until_they_are_acknowledged(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    portal.acknowledge = False
    key = portal.want(spec("echo kept"))
    portal.report_of(key)
    agent.kill()
    portal.acknowledge = True
    agent.start()
    portal.until(lambda: "kept" in [e.get("text") for e in portal.events.values()])


def test_more_than_fits_is_sent_in_portions_and_in_order(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    portal.until(lambda: portal.requests)
    portal.down = True
    portal.settings["log_bytes_per_minute"] = 20_000_000
    time.sleep(0.2)
    portal.down = False
    script = (
        "awk 'BEGIN { for (i = 0; i < 30000; i++) printf \"%d %0900d\\n\", i, 0 }' | head -5500"
    )
    key = portal.want(spec(script))
    portal.report_of(key)
    portal.until(
        lambda: sum(e.get("service") == "program" for e in portal.events.values()) >= 1000, 30
    )
    sizes = [len(json.dumps(request)) for request in portal.requests]
    assert max(sizes) < protocol.MAX_BODY
    numbers = [int(text.split()[0]) for text in portal.texts() if text[:1].isdigit()]
    assert numbers == sorted(set(numbers))


def test_an_agent_follows_no_redirect(agent: AgentProcess, portal: FakePortal) -> None:
    agent.start()
    portal.until(lambda: portal.requests)
    portal.answers.append((302, {"detail": "elsewhere"}))
    portal.want_purged("nudge", [])
    portal.until(lambda: not portal.answers)
    assert agent.process is not None
    assert agent.process.poll() is None


def test_a_cancel_that_comes_after_the_end_changes_nothing(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    portal.hold_close = True
    key = portal.want(spec("true"))
    portal.report_of(key)
    portal.tell(key, Verb.CANCEL, why="too late")
    time.sleep(0.3)
    portal.verbs.clear()
    portal.hold_close = False
    portal.until(lambda: key in portal.closed)
    assert {report["state"] for report in portal.reports} == {"finished"}


def test_a_cancel_that_overtakes_its_run_is_confirmed_and_the_run_never_executed(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    ran = agent.folder / "ran"
    wanted = spec(f"echo x >>{ran}")
    key = wanted["run"], 1
    cancel = {"run": wanted["run"], "attempt": 1, "verb": "cancel", "why": "asked by Ada L."}
    portal.raw.append({"protocol": 1, "desired": 1, "acknowledged": 0, "runs": [cancel]})
    agent.start()
    report = portal.report_of(key)
    assert (report["state"], report["why"]) == ("cancelled", "asked by Ada L.")
    with portal.lock:
        portal.closed.discard(key)
    portal.want(wanted)  # overtaken
    portal.report_of(portal.want(spec("true")))
    assert not ran.exists()


def test_an_instruction_that_is_repeated_makes_no_busy_loop(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key = portal.want(spec("true"))
    portal.until(lambda: key in portal.closed)
    with portal.lock:
        portal.closed.discard(key)  # "execute" for ever
        count = len(portal.requests)
    time.sleep(2)
    assert len(portal.requests) - count < 10


def test_while_another_agent_is_listened_to_this_one_asks_rarely(
    agent: AgentProcess, portal: FakePortal
) -> None:
    portal.answers.extend([(409, {"code": "other-agent", "detail": "another agent"})] * 3)
    agent.start()
    portal.until(lambda: len(portal.answers) == 2)
    time.sleep(1)
    assert len(portal.answers) == 2
    assert "another agent" in agent.log()
