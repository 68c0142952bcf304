"""What a node makes of late, doubled, reordered and forged messages, without a broker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from clusters.agent.client import Refused, Unreachable
from clusters.node.carriage import QueueCarriage
from clusters.node.messages import Kind, Message, pack, signing_key, unpack
from clusters.node.switchboard import Clock, Switchboard

SECRET = "lpk_ab12cd34_secret"
KEY = signing_key(SECRET)
Answer = Callable[[Message], None]


class Portal:
    """Answers a node's requests in threads, as a test says."""

    def __init__(self) -> None:
        self.asked: list[Message] = []
        self.answers: list[Callable[[Message], Any]] = []
        self.board = Switchboard(
            secret=SECRET, node="gpu-1", process="7df70f6c", publish=self.publish
        )
        self.board.answer_s = 5.0

    def publish(self, envelope: Mapping[str, Any]) -> None:
        asked = unpack(envelope, KEY)
        self.asked.append(asked)
        act = self.answers.pop(0) if self.answers else self.reply
        threading.Thread(target=act, args=(asked,)).start()

    def tell(self, kind: Kind, number: str, document: dict[str, Any], **changes: Any) -> None:
        key = changes.pop("sign", KEY)
        fields = {"kind": kind, "node": "gpu-1", "key": "ab12cd34", "id": number, "at_ms": 5}
        self.board.deliver(pack(Message(**{**fields, "document": document, **changes}), key))

    def reply(self, asked: Message, text: str = "right", **changes: Any) -> None:
        self.tell(Kind.REPLY, asked.id, {"is": text}, **changes)

    def refuse(self, asked: Message, **problem: Any) -> None:
        self.tell(Kind.PROBLEM, asked.id, problem)

    def exchange(self, wait_s: float = 0) -> dict[str, Any] | None:
        return QueueCarriage(self.board, None).exchange({"runs": []}, wait_s=wait_s)


@pytest.fixture
def portal() -> Portal:
    return Portal()


def test_a_request_gets_the_answer_to_it(portal: Portal) -> None:
    assert portal.exchange() == {"is": "right"}
    assert portal.asked[0].document == {"runs": [], "wait_s": 0}
    assert portal.asked[0].reply_to == "7df70f6c"


def test_answers_in_another_order_reach_whom_they_answer(portal: Portal) -> None:
    both = threading.Barrier(2)

    def together(asked: Message) -> None:
        both.wait(5)
        portal.reply(asked, asked.id)

    portal.answers = [together, together]
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(portal.exchange())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert {one["is"] for one in found} == {asked.id for asked in portal.asked}


@pytest.mark.parametrize(
    "forged",
    [
        {"sign": signing_key("lpk_ab12cd34_guess")},
        {"id": "another"},
        {"node": "gpu-2"},
        {"key": "ffffffff"},
        {"kind": Kind.WAKE},
        {"kind": Kind.REQUEST},
    ],
)
def test_what_is_forged_or_for_somebody_else_is_no_answer(
    portal: Portal, forged: dict[str, Any]
) -> None:
    def act(asked: Message) -> None:
        fields = {"kind": Kind.REPLY, "number": asked.id, **forged}
        kind, number = fields.pop("kind"), fields.pop("id", fields.pop("number"))
        portal.tell(kind, number, {"is": "execute this"}, **fields)
        portal.reply(asked)

    portal.answers = [act]
    assert portal.exchange() == {"is": "right"}


def test_its_own_request_sent_back_is_no_answer(portal: Portal) -> None:
    def act(asked: Message) -> None:
        portal.board.deliver(pack(asked, KEY))
        portal.reply(asked)

    portal.answers = [act]
    assert portal.exchange() == {"is": "right"}


def test_an_answer_that_comes_twice_or_late_changes_nothing(portal: Portal) -> None:
    portal.exchange()
    first = portal.asked[0]
    portal.answers = [lambda asked: [portal.reply(first, "old"), portal.reply(asked, "new")]]
    assert portal.exchange() == {"is": "new"}
    portal.reply(first, "old")


def test_without_an_answer_the_portal_counts_as_unreachable(portal: Portal) -> None:
    portal.board.answer_s = 0.05
    portal.answers = [lambda _: None]
    with pytest.raises(Unreachable, match="no worker of the portal"):
        portal.exchange()


def test_a_lost_broker_is_unreachable_too(portal: Portal) -> None:
    def publish(_: Any) -> None:
        raise OSError("Connection refused")

    portal.board.publish = publish
    with pytest.raises(Unreachable, match="broker cannot be reached: Connection refused"):
        portal.exchange()


def test_a_problem_is_told_with_its_status(portal: Portal) -> None:
    portal.answers = [lambda asked: portal.refuse(asked, status=401, code="key-revoked")]
    with pytest.raises(Refused, match=r"401 \(key-revoked"):
        portal.exchange()


def test_what_the_portal_took_for_old_is_sent_again_by_its_clock(portal: Portal) -> None:
    def stale(asked: Message) -> None:
        hour = asked.at_ms + 3_600_000
        portal.refuse(asked, status=409, code="stale", now_ms=hour, last_ms=hour - 500)

    portal.answers = [stale]
    assert portal.exchange() == {"is": "right"}
    first, second = portal.asked
    assert second.at_ms >= first.at_ms + 3_600_000
    assert second.document == first.document
    assert second.id != first.id


def test_a_portal_that_takes_nothing_is_not_asked_for_ever(portal: Portal) -> None:
    problem = {"status": 409, "code": "stale", "now_ms": 10, "last_ms": 9}
    portal.answers = [lambda asked: portal.refuse(asked, **problem)] * 9
    with pytest.raises(Unreachable, match="old one"):
        portal.exchange()
    assert len(portal.asked) == 4


def test_a_request_beyond_the_size_is_refused_as_by_the_portal(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusters.node.messages.MAX_BODY", 10)
    with pytest.raises(Refused) as refused:
        portal.exchange()
    assert refused.value.status == 413


class Idle(threading.Thread):
    """A request that waits for something to be wanted."""

    def __init__(self, portal: Portal, wait_s: float = 20) -> None:
        super().__init__(daemon=True)
        self.portal, self.wait_s = portal, wait_s
        self.carriage = QueueCarriage(portal.board, None)
        self.answer: Any = "waits"
        self.start()

    def run(self) -> None:
        try:
            self.answer = self.carriage.exchange({"idle": True}, wait_s=self.wait_s)
        except Unreachable as error:
            self.answer = str(error)

    def ended(self) -> Any:
        self.join(10)
        assert not self.is_alive()
        return self.answer

    def waits(self) -> None:
        self.join(0.1)
        assert self.is_alive()


def test_an_idle_node_asks_once_it_is_woken(portal: Portal) -> None:
    idle = Idle(portal)
    idle.waits()
    assert portal.asked == []
    portal.tell(Kind.WAKE, "w", {})
    assert idle.ended() == {"is": "right"}


def test_a_wake_between_two_requests_is_not_slept_over(portal: Portal) -> None:
    portal.exchange()
    portal.tell(Kind.WAKE, "w", {})
    assert Idle(portal).ended() == {"is": "right"}
    Idle(portal).waits()  # what that request has answered wakes no other


def test_an_old_wake_sent_again_wakes_nobody(portal: Portal) -> None:
    portal.tell(Kind.WAKE, "w", {}, at_ms=9)
    portal.exchange()
    idle = Idle(portal)
    portal.tell(Kind.WAKE, "w", {}, at_ms=9)
    portal.tell(Kind.WAKE, "w", {}, at_ms=10, sign=signing_key("lpk_ab12cd34_guess"))
    idle.waits()
    idle.carriage.abort()
    assert idle.ended() is None


def test_news_makes_the_idle_request_needless(portal: Portal) -> None:
    idle = Idle(portal)
    idle.waits()
    portal.exchange()
    assert idle.ended() is None


def test_without_any_word_an_idle_node_asks_when_its_time_is_over(portal: Portal) -> None:
    assert Idle(portal, wait_s=0.05).ended() == {"is": "right"}


def test_stamps_only_grow_whatever_the_clock_does() -> None:
    times = iter([10.0, 9.0, 9.0, 20.0])
    clock = Clock(lambda: next(times))
    stamps = [clock.stamp() for _ in range(4)]
    assert stamps == [10_000, 10_001, 10_002, 20_000]


def test_a_clock_that_is_wrong_by_an_hour_goes_by_the_portals() -> None:
    clock = Clock(lambda: 7200.0)
    clock.adjust(portal_ms=3_600_000, last_ms=3_599_000)
    assert clock.stamp() == 3_600_000


def test_files_need_the_portals_address_and_the_words_say_so(portal: Portal) -> None:
    carriage = QueueCarriage(portal.board, None)
    with pytest.raises(Refused, match="start it with --url"):
        carriage.download("r", "H.psf", None, limit=1)
    with pytest.raises(Refused, match="start it with --url"):
        carriage.upload("r", 1, "H.psf", None, size=1, sha256="")
