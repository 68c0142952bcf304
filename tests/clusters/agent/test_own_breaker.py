"""The agent's own circuit breaker: what it counts, and that it starts nothing while it is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clusters.agent import exchanger
from clusters.agent.breaker import HELD_AFTER, Breaker
from clusters.agent.client import Unreachable
from clusters.agent.loop import EventLoop
from clusters.agent.records import Phase
from tests.clusters.agent.conftest import AgentProcess
from tests.clusters.agent.fake_portal import FakePortal

Describe = Callable[..., dict[str, Any]]


def test_only_losses_in_a_row_count() -> None:
    breaker = Breaker()
    for _ in range(HELD_AFTER - 1):
        breaker.note(Phase.LOST, "disk")
    breaker.note(Phase.RUNNING, "")
    breaker.note(Phase.FINISHED, "")
    breaker.note(Phase.LOST, "disk")
    assert not breaker.held
    for _ in range(HELD_AFTER - 1):
        breaker.note(Phase.LOST, "the disk is gone")
    assert "30 runs" in breaker.held and "the disk is gone" in breaker.held
    assert breaker.reset() and not breaker.held and not breaker.reset()


def test_it_offers_nothing_until_it_is_told_to_try_again(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    for _ in range(HELD_AFTER):
        portal.want(spec(files=[{}]))  # no description of a file: it cannot be understood
    portal.until(lambda: portal.requests and portal.requests[-1]["capacity"].get("held"))
    assert portal.requests[-1]["capacity"]["slots"]["total"] == 0
    key = portal.want(spec())
    portal.until(lambda: portal.states.get(key) == "preparing")
    with portal.lock:
        portal.reset = True
        portal._say()
    portal.until(lambda: "held" not in portal.requests[-1]["capacity"])
    portal.reset = False
    assert portal.report_of(key)["outcome"]["verdict"] == "valid"


class Silent:
    """A carriage that reaches nobody."""

    def exchange(self, *_: object, **__: object) -> None:
        raise Unreachable("no route to host")

    def abort(self) -> None: ...

    def close(self) -> None: ...


def test_after_many_failures_the_portal_is_asked_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    speaker = exchanger.Exchanger(EventLoop(), None, Silent)  # type: ignore[arg-type]
    pauses = []
    monkeypatch.setattr(exchanger.random, "uniform", lambda low, high: high)
    monkeypatch.setattr(exchanger.time, "monotonic", lambda: 0.0)
    for _ in range(exchanger.MANY_FAILURES + 1):
        speaker._failed(speaker._news, Unreachable("no route to host"))
        pauses.append(speaker._not_before)
    assert pauses[:6] == [1, 2, 4, 8, 16, 30]
    assert pauses[-3:] == [30, exchanger.PAUSE_AFTER_MANY_S, exchanger.PAUSE_AFTER_MANY_S]


def test_a_cause_is_told_once_and_another_one_as_well(caplog: pytest.LogCaptureFixture) -> None:
    speaker = exchanger.Exchanger(EventLoop(), None, Silent)  # type: ignore[arg-type]
    silent, gone = "no answer within 10 s: is a worker there?", "the broker cannot be reached: {}"
    for words in (silent, silent, gone.format(1), gone.format(2), silent):
        speaker._failed(speaker._news, Unreachable(words))
    speaker._recovered()
    speaker._failed(speaker._news, Unreachable(silent))
    told = [line for line in caplog.messages if line.startswith("the portal cannot be reached")]
    assert [silent in line for line in told] == [True, False, True, True]
