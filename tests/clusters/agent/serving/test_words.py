"""What a portal says of models is read with care, and what the agent keeps comes back as it was."""

from __future__ import annotations

import ipaddress
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.agent import config, serving_address
from clusters.agent.config import BadConfig
from clusters.agent.protocol import ReplicaState
from clusters.agent.serving_address import NoAddress, own_address
from clusters.agent.serving_instructions import read_instructions, read_spec
from clusters.agent.serving_records import (
    LONGEST_PAUSE_S,
    Ending,
    Replica,
    Traffic,
    Wanted,
    pause_s,
)
from tests.clusters.agent.serving.fakes import make_spec

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "replica": anything | st.just("r-1"),
        "verb": st.sampled_from(["serve", "keep", "stop", "remove", "dance"]) | anything,
        "generation": anything,
        "spec": anything | st.just(make_spec(replica="r-1")),
        "traffic": anything,
        "why": anything,
    },
)


@settings(max_examples=60)
@given(told=anything | st.lists(entries | anything, max_size=4))
def test_no_word_of_a_portal_ends_the_agent(told: Any) -> None:
    for one in read_instructions(told):
        assert "/" not in one.replica
        assert one.generation is None or one.generation > 0


@settings(max_examples=40)
@given(changes=st.dictionaries(st.sampled_from(sorted(make_spec())), anything, max_size=3))
def test_a_description_is_usable_or_refused_in_words(changes: dict[str, Any]) -> None:
    try:
        spec = read_spec({**make_spec(), **changes})
    except ValueError as error:
        assert str(error).startswith("its description cannot be understood")
    else:
        assert spec.cores > 0


@given(
    failures=st.integers(0, 10**6),
    first_s=st.floats(0.05, 300),
)
def test_pauses_double_up_to_five_minutes(failures: int, first_s: float) -> None:
    pause = pause_s(failures, first_s)
    assert first_s <= pause <= LONGEST_PAUSE_S
    assert pause_s(failures + 1, first_s) >= pause


def test_the_pauses_are_those_that_were_decided() -> None:
    assert [pause_s(n, 10.0) for n in range(1, 8)] == [10, 20, 40, 80, 160, 300, 300]


@given(
    state=st.sampled_from(ReplicaState),
    wanted=st.sampled_from(Wanted),
    ending=st.sampled_from(Ending),
    numbers=st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
    gpus=st.lists(st.integers(0, 7), max_size=3).map(tuple),
    tail=st.lists(st.text(max_size=20), max_size=3),
)
def test_a_replica_comes_back_from_the_journal_as_it_was(
    state: ReplicaState,
    wanted: Wanted,
    ending: Ending,
    numbers: tuple[int, int, int],
    gpus: tuple[int, ...],
    tail: list[str],
) -> None:
    launch, restarts, failures = numbers
    one = Replica("r", 3, {"cores": 2}, wanted, state, "why", 1.5, launch=launch)
    one.restarts, one.failures, one.gpus, one.tail = restarts, failures, gpus, tail
    one.ending, one.log_offset = ending, 7
    assert Replica.restore(one.spec, one.body(), 7) == one


def test_old_words_of_traffic_excuse_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = time.monotonic()
    assert Traffic(1, None, moment).busy
    assert not Traffic(1, None, moment - 100).busy
    assert Traffic(0, 5.0, moment).busy
    assert not Traffic(0, 5.0, moment - 40).busy
    assert not Traffic(0, None, moment).busy


def test_models_listen_where_this_machine_speaks_to_the_portal(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(url: str, lines: str = "") -> config.Config:
        text = f"[portal]\nurl = {url}\nkey = k\n[agent]\nwork = /x\n{lines}"
        return config.parse(text, tmp_path / "agent.ini")

    def towards(address: str) -> None:
        found = ipaddress.ip_address(address)
        monkeypatch.setattr(serving_address, "_address_towards", lambda *_: found)

    assert own_address(of("http://localhost:8000")) == "127.0.0.1"
    towards("10.1.2.3")
    assert own_address(of("https://portal.lab")) == "10.1.2.3"
    assert own_address(of("https://portal.lab", "[serving]\nhost = 10.9.9.9")) == "10.9.9.9"
    towards("127.0.1.1")
    assert own_address(of("https://portal.lab")) == "127.0.0.1"
    towards("8.8.8.8")
    with pytest.raises(NoAddress, match=r"public address 8\.8\.8\.8"):
        own_address(of("https://portal.lab"))


BASE = "[portal]\nurl = http://127.0.0.1\nkey = k\n[agent]\nwork = /x\n"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("host = 0.0.0.0", "127.0.0.1 or on this machine's private address"),
        ("host = 8.8.8.8", "127.0.0.1 or on this machine's private address"),
        ("host = node7", "use auto or an IP address"),
        ("ports = 80-90", "use a range such as 40000-40999"),
        ("ports = 41000-40000", "use a range such as 40000-40999"),
        ("runtimes = podman, lxc", "'lxc' is unknown"),
        ("folders = models", "use absolute paths"),
        ("enabled = perhaps", "use yes or no"),
        ("backoff_s = 0", "use seconds from 0.05 to 300"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(tmp_path: Any, lines: str, words: str) -> None:
    with pytest.raises(BadConfig, match=words):
        config.parse(f"{BASE}[serving]\n{lines}\n", tmp_path / "agent.ini")


def test_settings_are_read_as_they_stand(tmp_path: Any) -> None:
    lines = "host = 10.0.0.7\nports = 5000-5009\nruntimes = process podman\nfolders = /a:/b\n"
    found = config.parse(f"{BASE}[serving]\n{lines}", tmp_path / "agent.ini").serving
    assert (found.host, found.ports, found.refusal) == ("10.0.0.7", (5000, 5009), "")
    assert found.runtimes == ("process", "podman")
    assert [str(folder) for folder in found.folders] == ["/a", "/b"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("[serving]\nenabled = no", "serves no models"),
        ("[serving]\nruntimes = none", "serves no models"),
        ("scheduler = slurm", "hands work to slurm"),
        ("carrier = ssh", "comes by SSH for moments"),
    ],
)
def test_agents_that_serve_no_models_say_why(tmp_path: Any, lines: str, words: str) -> None:
    found = config.parse(BASE + lines, tmp_path / "agent.ini").serving
    assert words in found.refusal


def test_serving_cannot_be_asked_of_an_agent_that_does_not_stay(tmp_path: Any) -> None:
    text = f"{BASE}carrier = ssh\n[serving]\nenabled = yes\n"
    with pytest.raises(BadConfig, match="comes by SSH for moments"):
        config.parse(text, tmp_path / "agent.ini")
