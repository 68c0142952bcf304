"""What an agent's entry says of a replica, however odd it came."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.agent.protocol import ReplicaState, ServingVerb
from mlmodels import hearing
from mlmodels.models import Replica
from mlmodels.states import ReplicaWanted

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
READY = {
    "state": "ready",
    "generation": 2,
    "address": "127.0.0.1:40123",
    "launch": 3,
    "restarts": 2,
    "ready_at": "2026-11-21T11:59:00Z",
    "ping": {"ok_at": "2026-11-21T11:59:58Z", "failed": 0, "ms": 2.5},
    "check": {"ok": True, "at": "2026-11-21T11:59:01Z"},
    "usage": {"cpu_percent": 12.5, "memory_mib": 300},
}


def heard(before: str = "", **entry: Any) -> dict[str, Any]:
    return hearing.heard({**READY, **entry}, state=before, moment=NOW)


def test_a_ready_replica_is_told_whole() -> None:
    told = heard()
    assert (told["state"], told["address"], told["since"]) == ("ready", "127.0.0.1:40123", NOW)
    assert (told["launch"], told["restarts"], told["told_generation"]) == (3, 2, 2)
    assert told["pinged_at"] == NOW - timedelta(seconds=2)
    assert told["answered_at"] == NOW - timedelta(seconds=59)
    assert told["report"]["usage"] == {"cpu_percent": 12.5, "memory_mib": 300}


def test_the_time_of_a_state_is_that_of_its_beginning() -> None:
    assert "since" not in heard("ready")


@pytest.mark.parametrize("state", ["preparing", "backing_off", "given_up", "stopping", "stopped"])
def test_nobody_is_sent_to_a_replica_that_does_not_run(state: str) -> None:
    assert heard(state=state)["address"] == ""


@pytest.mark.parametrize(
    "address", ["", None, 40123, "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "a b:1", "x:1/y"]
)
def test_an_address_that_cannot_be_called_is_none(address: Any) -> None:
    assert heard(address=address)["address"] == ""


def test_an_address_of_the_newer_internet_is_one() -> None:
    assert heard(address="[fe80::1]:40123")["address"] == "[fe80::1]:40123"


def test_an_unknown_state_is_no_entry() -> None:
    with pytest.raises(hearing.BadEntry):
        heard(state="dancing")


def test_a_failed_check_is_no_good_answer() -> None:
    told = heard(check={"ok": False, "at": "2026-11-21T11:59:01Z", "why": "it answered 500"})
    assert "answered_at" not in told
    assert told["report"]["check"]["why"] == "it answered 500"


def test_a_clock_that_runs_ahead_is_held_at_ours() -> None:
    assert heard(ping={"ok_at": "2026-11-21T12:00:30Z"})["pinged_at"] == NOW
    assert "pinged_at" not in heard(ping={"ok_at": "2027-11-21T12:00:30Z"})


def test_a_log_without_end_is_cut() -> None:
    tail = heard(tail=["x" * 10_000] * 1000)["report"]["tail"]
    assert len(tail) == hearing.MOST_LINES and len(tail[0]) == hearing.MOST_LINE


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from([*hearing.KEPT, *READY, "why", "started_at"]), ANYTHING))
def test_whatever_comes_can_be_stored(entry: dict[str, Any]) -> None:
    told = heard(**{**entry, "state": "ready"})
    one = Replica(**told)
    assert len(one.why) <= 500 and len(one.address) <= 100
    assert 0 <= one.launch < 2**31 and 0 <= one.told_generation < 2**31
    assert "\\u0000" not in json.dumps(one.report, allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from([*hearing.KEPT, *READY]), ANYTHING))
def test_the_same_entry_twice_changes_nothing(entry: dict[str, Any]) -> None:
    told = heard(**{**entry, "state": "ready"})
    again = heard("ready", **{**entry, "state": "ready"})
    assert {**told, "since": None} == {**again, "since": None}


def test_what_is_wanted_decides_the_verb() -> None:
    entry = {"state": "ready", "generation": 2}
    answer = hearing.answer
    assert answer(ReplicaWanted.SERVE, None, 2) == ServingVerb.SERVE
    assert answer(ReplicaWanted.SERVE, entry, 2) == ServingVerb.KEEP
    assert answer(ReplicaWanted.SERVE, entry, 3) == ServingVerb.SERVE
    assert answer(ReplicaWanted.STOP, entry, 2) == ServingVerb.STOP
    assert answer(ReplicaWanted.STOP, None, 2) is None
    assert answer(ReplicaWanted.REMOVE, None, 2) == ServingVerb.REMOVE


@pytest.mark.parametrize("state", list(ReplicaState))
def test_an_agent_is_not_hurried_while_it_does_what_it_was_told(state: ReplicaState) -> None:
    entry = {"state": state.value}
    ends = state in hearing.ENDED
    assert hearing.is_urgent(ServingVerb.STOP, entry, told_before=False) is not ends
    assert hearing.is_urgent(ServingVerb.REMOVE, entry, told_before=False)
    assert not hearing.is_urgent(ServingVerb.REMOVE, entry, told_before=True)
    assert not hearing.is_urgent(ServingVerb.KEEP, entry, told_before=False)
    assert hearing.is_urgent(ServingVerb.SERVE, None, told_before=False)
