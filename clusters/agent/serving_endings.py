"""The ends of a replica's launches: asked for or met with, cleaned up after, and what comes then.

A part of `serving`, called by the loop's thread. What a runtime is asked runs in a pool.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from clusters.agent.protocol import ReplicaState
from clusters.agent.runtimes.base import Status
from clusters.agent.serving_contract import is_test
from clusters.agent.serving_records import Ending, Replica, Wanted, exit_words, pause_s

if TYPE_CHECKING:
    from clusters.agent.serving import Serving

log = logging.getLogger(__name__)

FAILED_STOP_S = 10.0  # SIGKILL comes sooner to what does not answer anyhow
KILL_AGAIN_S, LONGEST_GRACE_S = 5.0, 3600.0


class Endings:
    def __init__(self, serving: Serving) -> None:
        self.serving = serving

    def break_off(self, one: Replica, why: str) -> None:
        """End a launch that does not do as it should; it starts again by what `fail` says."""
        log.warning("%s", why, extra={"replica": one.replica})
        one.ending, one.ending_why = Ending.FAILED, why[:500]
        self.serving.move(one, ReplicaState.UNHEALTHY, why)
        self.serving.advance(one)

    def end(self, one: Replica) -> None:
        """Have a launch end: SIGTERM, and SIGKILL after the grace."""
        if one.kill_at is not None:
            return
        grace = one.number("stop_s")
        failed = one.ending is Ending.FAILED and one.wanted is Wanted.SERVE
        one.kill_at = time.time() + (min(grace, FAILED_STOP_S) if failed else grace)
        state = ReplicaState.UNHEALTHY if failed else ReplicaState.STOPPING
        self.serving.move(one, state, one.ending_why if failed else one.why)
        self._signal(one, kill=False)

    def kill_if_due(self, one: Replica) -> None:
        if one.kill_at is None or self._busy(one):
            return
        if not 0 < one.kill_at - time.time() < LONGEST_GRACE_S:  # past, or a clock was set
            one.kill_at = time.time() + KILL_AGAIN_S
            log.warning("it does not end by SIGTERM: SIGKILL", extra={"replica": one.replica})
            self._signal(one, kill=True)

    def _signal(self, one: Replica, *, kill: bool) -> None:
        runtime, handle = self.serving.runtimes[one.runtime], one.found
        if handle is None:
            return

        def signalled(_: None, error: Exception | None) -> None:
            if error is not None:
                log.warning("it cannot be told to end: %s", error, extra={"replica": one.replica})
            self.serving.watching.look_soon()

        task = partial(runtime.signal, handle, kill=kill)
        self.serving.work(one, self.serving.acting, task, signalled)

    def _busy(self, one: Replica) -> bool:
        return one.replica in self.serving.busy

    def died(self, one: Replica, status: Status) -> None:
        """A launch is over: clean up after it, then do what is wanted next."""
        handle, runtime = one.found, self.serving.runtimes[one.runtime]
        if self._busy(one) or handle is None:  # the next look finds it again
            self.serving.contracts.over(one, status)
            return
        self.serving.watching.end(one)

        def removed(_: None, error: Exception | None) -> None:
            if error is not None:
                log.warning("not cleaned up after it: %s", error, extra={"replica": one.replica})
            self.cleaned(one, status)

        self.serving.work(one, self.serving.acting, partial(runtime.remove, handle), removed)

    def cleaned(self, one: Replica, status: Status) -> None:
        why, ending = one.ending_why, one.ending
        one.exit = {
            "code": status.code,
            "signal": status.signal,
            "out_of_memory": status.out_of_memory,
        }
        one.ending, one.ending_why = Ending.NONE, ""
        steady = one.steady(time.time())
        self.gone(one)
        if one.wanted is Wanted.REMOVE:
            self.serving.save(one)
            self.serving.advance(one)
        elif one.wanted is Wanted.STOP or ending is Ending.DONE:
            self.serving.move(one, ReplicaState.STOPPED, one.why)
        elif ending is Ending.RENEWED:
            self.serving.move(one, ReplicaState.PREPARING)
            self.serving.advance(one)
        else:
            one.failures = 0 if steady else one.failures
            self.fail(one, why if ending is Ending.FAILED else exit_words(one, status))
        self.serving.lifecycle.fill()

    def gone(self, one: Replica) -> None:
        """Nothing of the launch is there any more."""
        one.begun, one.handle, one.kill_at, one.gpus = False, None, None, ()
        one.waits, one.usage = False, {}
        self.serving.launches.gone(one)
        self.serving.watching.forget(one)

    def fail(self, one: Replica, why: str, *, hopeless: bool = False) -> None:
        """A start or a launch has failed: again after a pause, or given up."""
        one.failures += 1
        one.tail = self.serving.watching.last_lines(one)
        if hopeless or is_test(one):
            self.give_up(one, why)
        elif one.failures > one.number("give_up_after"):
            self.give_up(one, f"given up after {one.failures} failures in a row: {why}")
        else:
            first_s = self.serving.config.serving.backoff_s
            one.again_at = time.time() + pause_s(one.failures, first_s)
            log.warning("%s", why, extra={"replica": one.replica})
            self.serving.move(one, ReplicaState.BACKING_OFF, why)

    def give_up(self, one: Replica, why: str) -> None:
        log.error("%s", why, extra={"replica": one.replica})
        one.again_at, one.waits = None, False
        self.serving.move(one, ReplicaState.GIVEN_UP, why)

    def remove(self, one: Replica) -> None:
        """Delete all that is left of a replica, then list it no more."""
        preparation = self.serving.preparation

        def removed(_: None, error: Exception | None) -> None:
            if error is not None:
                log.warning("not all could be deleted: %s", error, extra={"replica": one.replica})
                self.serving.launches.postpone(one)
            else:
                self.serving.forget(one)

        task = partial(preparation.forget, one.replica)
        self.serving.work(one, self.serving.acting, task, removed)
