"""Ranks and coordinator meet only where both know the token, and nothing is forged on the way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.software.torch_inference.program.channel import (
    Connection,
    Lost,
    Opener,
    Refused,
    Sealer,
    new_token,
)
from calculations.software.torch_inference.program.hub import Caller, Hub, is_private
from calculations.software.torch_inference.program.problem import Problem

KEY = b"k" * 32


@dataclass
class Meeting:
    """A hub in a thread, and what it heard."""

    token: bytes
    heard: list = field(default_factory=list)
    gone: list = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hub = Hub("127.0.0.1", self.token, self._heard, self._gone)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            self.hub.turn(0.01)

    def _heard(self, caller: Caller, message: dict, body: bytes) -> None:
        self.heard.append((message, body))
        self.hub.send(caller, message, body)

    def _gone(self, caller: Caller, why: str) -> None:
        self.gone.append(why)

    def end(self) -> None:
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            self.hub.close()


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    meeting = Meeting(new_token())
    yield meeting
    meeting.end()


def test_who_knows_the_token_is_heard_and_answered(meeting: Meeting) -> None:
    connection = Connection(meeting.hub.address, meeting.token)
    body = bytes(range(256)) * 5000
    connection.send({"t": "hello"}, body)
    answers = []
    while not answers:
        answers = connection.receive()
    assert answers == [({"t": "hello"}, body)]
    assert meeting.heard == [({"t": "hello"}, body)]
    connection.close()


def test_who_does_not_know_the_token_is_refused_and_never_heard(meeting: Meeting) -> None:
    with pytest.raises(Refused, match="does not know the token"):
        Connection(meeting.hub.address, new_token())
    stranger = socket.create_connection(meeting.hub.address)
    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert stranger.recv(100) == b""
    assert (meeting.heard, meeting.gone) == ([], [])
    assert "speaks something else" in meeting.hub.refused[-1]


def test_a_caller_that_guesses_the_proof_is_dropped(meeting: Meeting) -> None:
    stranger = socket.create_connection(meeting.hub.address)
    stranger.sendall(b"labportal-ranks/1\n" + bytes(32))
    assert len(stranger.recv(100)) == 64
    stranger.sendall(bytes(32))
    assert stranger.recv(100) == b""
    assert "without the token" in meeting.hub.refused[-1]


def test_a_hub_that_does_not_know_the_token_learns_nothing() -> None:
    meeting = Meeting(new_token())
    try:
        with pytest.raises(Refused):
            Connection(meeting.hub.address, b"another")
    finally:
        meeting.end()


def test_a_connection_that_ends_is_noticed_on_both_sides(meeting: Meeting) -> None:
    connection = Connection(meeting.hub.address, meeting.token)
    connection.send({"t": "hello"})
    while not connection.receive():
        pass
    meeting.end()
    with pytest.raises(Lost):
        connection.receive()


@given(
    messages=st.lists(st.tuples(st.dictionaries(st.text(), st.integers()), st.binary())),
    cuts=st.lists(st.integers(1, 50)),
)
def test_messages_arrive_whole_and_in_order_however_they_are_cut(
    messages: list[tuple[dict, bytes]], cuts: list[int]
) -> None:
    sealer, opener = Sealer(KEY), Opener(KEY)
    sent = b"".join(sealer.seal(message, body) for message, body in messages)
    found = []
    for cut in cuts:
        found += opener.feed(sent[:cut])
        sent = sent[cut:]
    found += opener.feed(sent)
    assert found == messages


@given(place=st.integers(0), bit=st.integers(0, 7))
def test_a_frame_that_was_changed_anywhere_is_refused(place: int, bit: int) -> None:
    frame = bytearray(Sealer(KEY).seal({"t": "commit", "partition": 3}, b"data"))
    frame[place % len(frame)] ^= 1 << bit
    opener = Opener(KEY)
    try:
        found = list(opener.feed(bytes(frame)))
    except Refused:
        return
    assert found == []  # its length was changed: the rest never comes


def test_a_frame_that_is_repeated_or_left_out_is_refused() -> None:
    sealer = Sealer(KEY)
    first, second = sealer.seal({"n": 1}), sealer.seal({"n": 2})
    opener = Opener(KEY)
    list(opener.feed(first))
    with pytest.raises(Refused):
        list(opener.feed(first))
    with pytest.raises(Refused):
        list(Opener(KEY).feed(second))


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.4.5", True),
        ("100.64.0.9", True),
        ("fd00::1", True),
        ("8.8.8.8", False),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("224.0.0.1", False),
        ("portal.lab", False),
    ],
)
def test_only_private_addresses_are_listened_at(address: str, private: bool) -> None:
    assert is_private(address) is private
    if not private:
        with pytest.raises(Problem) as caught:
            Hub(address, KEY, lambda *_: None, lambda *_: None)
        assert caught.value.code == "no_private_address"
