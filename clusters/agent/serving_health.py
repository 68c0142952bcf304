"""Whether servers of models are ready: /ping within its deadline, and the example of their version.

A part of `serving`, called by the loop's thread; probes run in a pool of their own. A probe that
fails while the portal's calls are answered says nothing: the server is busy, not broken.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from clusters.agent.protocol import ReplicaState, timestamp
from clusters.agent.serving_probes import Answer, example, ping
from clusters.agent.serving_records import Ending, Ping, Replica

if TYPE_CHECKING:
    from clusters.agent.serving import Serving

log = logging.getLogger(__name__)

EAGER_S, PATIENT_S, EAGER_FOR_S = 0.3, 2.0, 30.0  # between probes of one that starts
CHECK_TRIES, CHECK_AGAIN_S = 3, 2.0
# Without calls the example is tried from time to time; one that takes long, less often.
CHECK_EVERY_S, CHECK_SHARE = 300.0, 0.01
PROBED = frozenset({ReplicaState.STARTING, ReplicaState.READY, ReplicaState.UNHEALTHY})


@dataclass
class Watch:
    """The probes of one launch, one at a time: a server that works on its example may be too busy
    for /ping. Moments are monotonic.
    """

    launch: int
    next_ping: float = 0.0
    next_check: float = 0.0
    checks_failed: int = 0
    probing: bool = False


class Health:
    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self._watches: dict[str, Watch] = {}

    def begin(self, one: Replica) -> None:
        """Probe a launch from now on; one that was ready is probed at once, not begun anew."""
        now = time.monotonic()
        self._watches[one.replica] = Watch(one.launch, now, now + CHECK_EVERY_S)
        one.ping = Ping()

    def forget(self, one: Replica) -> None:
        self._watches.pop(one.replica, None)

    def tick(self, one: Replica) -> None:
        """Begin the probe that is due, if one is; called several times a second."""
        watch, now = self._watches.get(one.replica), time.monotonic()
        if watch is None or not self._concerns(one, watch) or watch.probing:
            return
        if one.state is ReplicaState.STARTING and self._too_late(one):
            return
        if one.state is ReplicaState.READY and self._check_due(one, watch, now):
            self._check(one, watch)
        elif now >= watch.next_ping:
            self._ping(one, watch)

    def heard_of_traffic(self, one: Replica) -> None:
        """Failed probes of a server that answers calls count no more."""
        if one.ping.failed and one.traffic.busy:
            one.ping.failed = 0
            if one.state is ReplicaState.UNHEALTHY and one.ending is Ending.NONE:
                self.serving.move(one, ReplicaState.READY)

    def _concerns(self, one: Replica, watch: Watch) -> bool:
        """Whether the launch is still there and nobody ends it."""
        return (
            one.begun
            and one.handle is not None
            and one.launch == watch.launch
            and one.ending is Ending.NONE
            and one.kill_at is None
            and one.state in PROBED
            and one.spec.get("purpose", "serve") == "serve"
        )

    def _too_late(self, one: Replica) -> bool:
        window = one.number("startup_s")
        over = time.time() - (one.started_at or time.time()) > window
        if over:
            last = f"; last: {one.why}" if one.why else ""
            self.serving.endings.break_off(one, f"it was not ready within {window:g} s{last}")
        return over

    # /ping

    def _ping(self, one: Replica, watch: Watch) -> None:
        watch.probing = True
        task = partial(ping, one.host, one.port, one.number("ping_timeout_s"))
        self.serving.probing.submit(task, partial(self._pinged, one, watch))

    def _pinged(
        self, one: Replica, watch: Watch, answer: Answer | None, error: Exception | None
    ) -> None:
        watch.probing = False
        watch.next_ping = time.monotonic() + self._interval(one)
        if not self._concerns(one, watch):
            return
        found = answer or Answer(None, 0.0, f"/ping could not be asked: {error}")
        one.ping.ms, one.ping.why = found.ms, found.why
        if found.good:
            self._good_ping(one, watch)
        elif one.state is ReplicaState.STARTING:
            one.why = found.why
        else:
            self._bad_ping(one, found)

    def _interval(self, one: Replica) -> float:
        if one.state is not ReplicaState.STARTING:
            return one.number("ping_s")
        age = time.time() - (one.started_at or 0.0)
        return EAGER_S if age < EAGER_FOR_S else PATIENT_S

    def _good_ping(self, one: Replica, watch: Watch) -> None:
        one.ping.ok_at, one.ping.failed = time.time(), 0
        if one.state is ReplicaState.UNHEALTHY:
            self.serving.move(one, ReplicaState.READY)
        elif one.state is ReplicaState.STARTING:
            if one.spec.get("check"):
                self._check(one, watch)
            else:
                self._ready(one, watch)
        elif one.failures and one.steady(time.time()):
            one.failures = 0
            self.serving.save(one)

    def _bad_ping(self, one: Replica, answer: Answer) -> None:
        self.serving.watching.look_soon()
        if one.traffic.busy:
            return
        one.ping.failed += 1
        most = one.number("failures")
        why = f"{answer.why} ({one.ping.failed} of {most} times)"
        if one.ping.failed >= most:
            self.serving.endings.break_off(one, why)
        else:  # the portal's answer tells of its calls, before the next one counts
            self.serving.move(one, ReplicaState.UNHEALTHY, why)

    def _ready(self, one: Replica, watch: Watch) -> None:
        watch.checks_failed, one.ready_at = 0, time.time()
        self.serving.move(one, ReplicaState.READY)
        watch.next_ping = time.monotonic() + self._interval(one)
        log.info("ready on port %d", one.port, extra={"replica": one.replica})

    # The example

    def _check_due(self, one: Replica, watch: Watch, now: float) -> bool:
        if not one.spec.get("check") or now < watch.next_check or one.traffic.in_flight:
            return False
        if watch.checks_failed == 0 and one.traffic.answered_ago_s < CHECK_EVERY_S:
            watch.next_check = now + CHECK_EVERY_S - one.traffic.answered_ago_s
            return False
        return True

    def _check(self, one: Replica, watch: Watch) -> None:
        watch.probing = True
        told = one.spec["check"]
        body = str(told["body"]).encode()
        task = partial(example, one.host, one.port, str(told["content_type"]), body)
        self.serving.probing.submit(task, partial(self._checked, one, watch))

    def _checked(
        self, one: Replica, watch: Watch, answer: Answer | None, error: Exception | None
    ) -> None:
        watch.probing = False
        if not self._concerns(one, watch):
            return
        found = answer or Answer(None, 0.0, f"the example could not be tried: {error}")
        at = timestamp(time.time())
        one.check = {"ok": found.good, "at": at, "why": found.why, "ms": found.ms}
        now = time.monotonic()
        if found.good:
            watch.checks_failed = 0
            watch.next_check = now + max(CHECK_EVERY_S, found.ms / 1000 / CHECK_SHARE)
            if one.state is ReplicaState.STARTING:
                self._ready(one, watch)
            return
        watch.checks_failed += 1
        watch.next_check = watch.next_ping = now + CHECK_AGAIN_S
        if watch.checks_failed >= CHECK_TRIES:
            times = f"{found.why} ({watch.checks_failed} times in a row, though /ping is good)"
            self.serving.endings.break_off(one, times)
            return
        if one.state is ReplicaState.STARTING:
            one.why = found.why
        self.serving.news(0.0)
