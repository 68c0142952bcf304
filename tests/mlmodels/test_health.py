"""The three signs of a replica: process, readiness, last good answer; and what agents may say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.agent.protocol import ReplicaState
from clusters.models import Cluster
from labportal.common.clock import now
from mlmodels.models import ModelVersion, RegisteredModel, Replica
from mlmodels.selectors.health import Health, ended_words, health_of

OLD = timedelta(minutes=10)


def seen(state: str = "ready", *, heard: timedelta = timedelta(), **fields: Any) -> Health:
    """A replica that is in no database, as its agent told of it."""
    site = Cluster(name="metis", last_exchange_at=now() - heard)
    version = ModelVersion(model=RegisteredModel(name="echo"), number=1, startup_s=480)
    return health_of(Replica(version=version, cluster=site, state=state, launch=2, **fields))


def labels(health: Health) -> list[str]:
    return [sign.label for sign in health.signs]


@pytest.mark.parametrize(
    ("state", "fields", "expected"),
    [
        ("", {}, ["Not heard of yet", "Not ready", "None yet"]),
        ("preparing", {}, ["Prepared", "Not ready", "None yet"]),
        ("starting", {}, ["Runs", "Loads", "None yet"]),
        ("ready", {"answered_at": now()}, ["Runs", "Ready", "Answers"]),
        ("ready", {}, ["Runs", "Ready", "None yet"]),
        ("ready", {"failed_calls": 1}, ["Runs", "Ready", "Calls fail"]),
        ("ready", {"report": {"check": {"ok": False}}}, ["Runs", "Ready", "Example fails"]),
        ("unhealthy", {"answered_at": now()}, ["Runs", "Fails", "Answers"]),
        ("stopping", {"answered_at": now()}, ["Stopping", "Not ready", "Answered"]),
        ("backing_off", {}, ["Ended", "Not ready", "None yet"]),
        ("given_up", {}, ["Given up", "Not ready", "None yet"]),
        ("stopped", {}, ["Stopped", "Not ready", "None yet"]),
    ],
)
def test_each_sign_stands_for_itself(
    state: str, fields: dict[str, Any], expected: list[str]
) -> None:
    assert labels(seen(state, **fields)) == expected


def test_nothing_is_known_of_a_replica_whose_cluster_is_silent() -> None:
    health = seen(heard=OLD, pinged_at=now() - OLD)
    assert health.stale
    assert labels(health) == ["Not known"] * 3
    assert health.signs[1].found == "was: ready"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"code": 1}, "ended with exit code 1"),
        ({"code": 0}, "ended with exit code 0"),
        ({"code": None, "signal": 9}, "ended by signal 9"),
        ({"code": 137, "signal": 9, "out_of_memory": True}, "ended for want of memory"),
        ({}, ""),
    ],
)
def test_an_end_is_told_by_its_cause(told: dict[str, Any], words: str) -> None:
    assert ended_words(told).startswith(words)
    assert bool(ended_words(told)) is bool(words)


def test_the_next_start_is_told_while_it_is_ahead_alone() -> None:
    ahead, past = now() + OLD, now() - OLD
    assert seen("backing_off", report={"again_at": ahead.isoformat()}).again_at == ahead
    assert seen("backing_off", report={"again_at": past.isoformat()}).again_at is None
    assert seen("ready", report={"again_at": ahead.isoformat()}).again_at is None


@pytest.mark.parametrize("failed", [float("inf"), float("nan"), True, "two", None])
def test_a_number_that_is_none_is_not_counted(failed: Any) -> None:
    health = seen("unhealthy", report={"ping": {"failed": failed}, "usage": {"memory_mib": failed}})
    assert health.signs[1].found.startswith("0 of 3")
    assert health.memory_mib is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = ("ping", "check", "exit", "usage", "gpus", "tail", "again_at", "runtime")


@given(
    st.sampled_from(["", *(state.value for state in ReplicaState)]),
    st.dictionaries(st.sampled_from(FIELDS), ANYTHING) | ANYTHING,
)
def test_whatever_an_agent_says_the_signs_can_be_drawn(state: str, report: Any) -> None:
    health = seen(state, report=report)
    assert len(health.signs) == 3
    assert all(sign.label and sign.state for sign in health.signs)
