"""Another attempt of the same run on the same machine: new to the agent, with its own folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.clusters.agent.conftest import AgentProcess
from tests.clusters.agent.fake_portal import FakePortal

Describe = Callable[..., dict[str, Any]]


def test_the_next_attempt_starts_from_files_of_the_one_before(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    first = portal.want(spec("echo rho > state.dm; exit 3"))
    assert portal.report_of(first)["outcome"]["verdict"] != "valid"
    carry = {"run": first[0], "patterns": ["state*"], "attempt": 1}
    second = portal.want(spec("cat state.dm", run=first[0], attempt=2, carry=carry))
    assert portal.report_of(second)["outcome"]["verdict"] == "valid"
    folder = agent.folder_of(first[0], 2)
    assert (folder / "carried.txt").read_text() == "state.dm"
    assert (folder / "probe.out").read_text() == "rho\n"
    assert agent.folder_of(first[0], 1).is_dir()


def test_it_goes_without_where_nothing_was_left(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    first = portal.want(spec("exit 3"))
    portal.report_of(first)
    carry = {"run": first[0], "patterns": ["state*"], "attempt": 1}
    second = portal.want(spec("true", run=first[0], attempt=2, carry=carry))
    assert portal.report_of(second)["outcome"]["verdict"] == "valid"
    gone = {**carry, "attempt": 7}
    third = portal.want(spec("true", run=first[0], attempt=3, carry=gone))
    assert portal.report_of(third)["outcome"]["verdict"] == "valid"
