"""What a node asks and what it is told: requests on their way, answers by their number, wake-ups.

Carriages ask from the agent's threads, the worker delivers from its own. It knows no broker: how a
message leaves is a function that it is given.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from clusters.agent.client import Refused, Unreachable
from clusters.agent.protocol import BadDocument
from clusters.node.messages import (
    BadMessage,
    Kind,
    Message,
    TooLong,
    pack,
    prefix_of,
    signing_key,
    unpack,
)

log = logging.getLogger(__name__)

STALE = "stale"  # the code of a problem: not newer than what the portal took before
STAMPS = 4  # tries of one request with a new time each
SKEW_MS = 1000
COMPLAIN_S = 60.0
# An answer takes milliseconds, or its worker was killed and it never comes; only where it stays
# away again and again may the portal be busy.
FIRST_ANSWER_S, LONGEST_ANSWER_S = 10.0, 40.0
NO_ANSWER = (
    "no answer through the broker within {:.0f} s: no worker of the portal takes from its queue "
    "“exchange”, or the portal does not know this key"
)

Publish = Callable[[Mapping[str, Any]], None]


class Clock:
    """Stamps that only grow, by the portal's clock once that has spoken."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._offset_ms = 0
        self._last_ms = 0
        self._lock = threading.Lock()

    def stamp(self) -> int:
        with self._lock:
            self._last_ms = max(int(self._now() * 1000) + self._offset_ms, self._last_ms + 1)
            return self._last_ms

    def adjust(self, *, portal_ms: int, last_ms: int) -> None:
        """Go by the portal's clock, and on from the newest stamp that it has taken."""
        with self._lock:
            offset = portal_ms - int(self._now() * 1000)
            self._offset_ms = offset if abs(offset) > SKEW_MS else 0
            self._last_ms = last_ms


class Switchboard:
    """All conversations of one node with the portal. `publish` raises OSError where the broker is
    not there.
    """

    def __init__(self, *, secret: str, node: str, process: str, publish: Publish) -> None:
        self.node, self.process, self.publish = node, process, publish
        self.clock = Clock()
        self.answer_s = FIRST_ANSWER_S
        self._key, self._prefix = signing_key(secret), prefix_of(secret)
        self._changed = threading.Condition()
        self._answers: dict[str, Message | None] = {}
        self._wakes = self._asked_at_wake = 0
        self._newest_wake_ms = 0
        self._asked = 0  # how many requests were begun
        self._complained = 0.0

    # The worker's side

    def deliver(self, envelope: Any) -> None:
        """Take in a message. What is forged, late or not for this process changes nothing."""
        try:
            message = unpack(envelope, self._key)
        except (BadMessage, BadDocument) as error:
            self._complain(error)
            return
        if message.node != self.node or message.key != self._prefix:
            return
        with self._changed:
            if message.kind is Kind.WAKE and message.at_ms > self._newest_wake_ms:
                self._newest_wake_ms = message.at_ms
                self._wakes += 1
            elif message.kind in (Kind.REPLY, Kind.PROBLEM) and message.id in self._answers:
                self._answers[message.id] = message
            self._changed.notify_all()

    def _complain(self, error: Exception) -> None:
        if time.monotonic() - self._complained > COMPLAIN_S:
            self._complained = time.monotonic()
            log.warning("a message from the broker is passed over: %s", error)

    # The carriages' side

    def idle(self, seconds: float, aborted: threading.Event) -> bool:
        """Wait until something is wanted or the time is over; False where a newer request makes
        this one needless.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            asked = self._asked
            while not aborted.is_set() and asked == self._asked:
                left = deadline - time.monotonic()
                if left <= 0 or self._wakes > self._asked_at_wake:
                    return True
                self._changed.wait(left)
        return False

    def ask(self, document: Mapping[str, Any], aborted: threading.Event) -> dict[str, Any]:
        """Return the portal's reply. Raises Unreachable and Refused.

        A request that the portal took for an old one is sent again with a new time.
        """
        for _ in range(STAMPS):
            answer = self._ask_once(document, aborted)
            told = dict(answer.document)
            if answer.kind is Kind.REPLY:
                return told
            if told.get("code") != STALE:
                status = told.get("status")
                raise Refused(status if isinstance(status, int) else 500, told)
            self.clock.adjust(portal_ms=int(told["now_ms"]), last_ms=int(told["last_ms"]))
        raise Unreachable("the portal takes every request for an old one: does another node sign?")

    def _ask_once(self, document: Mapping[str, Any], aborted: threading.Event) -> Message:
        number = uuid.uuid4().hex
        with self._changed:
            self._asked += 1
            self._asked_at_wake = self._wakes
            self._answers[number] = None
            self._changed.notify_all()
        try:
            self._send(number, document)
            return self._await(number, aborted)
        finally:
            with self._changed:
                self._answers.pop(number, None)

    def _send(self, number: str, document: Mapping[str, Any]) -> None:
        stamp = self.clock.stamp()
        message = Message(
            Kind.REQUEST, self.node, self._prefix, number, stamp, document, self.process
        )
        try:
            self.publish(pack(message, self._key))
        except TooLong as error:
            raise Refused(413, {"detail": str(error)}) from None
        except OSError as error:
            raise Unreachable(f"the broker cannot be reached: {error}") from None

    def _await(self, number: str, aborted: threading.Event) -> Message:
        deadline = time.monotonic() + self.answer_s
        with self._changed:
            while self._answers[number] is None:
                left = deadline - time.monotonic()
                if aborted.is_set():
                    raise Unreachable("the exchange was broken off")
                if left <= 0:
                    waited, self.answer_s = self.answer_s, min(2 * self.answer_s, LONGEST_ANSWER_S)
                    raise Unreachable(NO_ANSWER.format(waited))
                self._changed.wait(left)
            self.answer_s = FIRST_ANSWER_S
            return self._answers[number]

    def rouse(self) -> None:
        """Have everybody who waits look whether the wait was broken off."""
        with self._changed:
            self._changed.notify_all()
