"""Replicas whose purpose is the contract test: started like others, tested, ended, reported.

A part of `serving`. The test itself runs in a thread of its own, for as long as it takes; nothing
else is done for the replica meanwhile.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from clusters.agent.contract import Subject, Terms, run_contract
from clusters.agent.runtimes.base import Status
from clusters.agent.serving_records import Ending, Replica, Wanted, exit_words
from clusters.agent.workers import Workers

if TYPE_CHECKING:
    from clusters.agent.serving import Serving

log = logging.getLogger(__name__)

CONTRACT = "contract"
THREADS = 2


def is_test(one: Replica) -> bool:
    return one.spec.get("purpose") == CONTRACT


class Contracts:
    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self._pool: Workers | None = None
        self._over: dict[str, str] = {}  # how a server under test ended; read by its thread
        self._testing: set[str] = set()

    def begin(self, one: Replica) -> None:
        """Test the launch that was just started."""
        serving, name = self.serving, one.replica
        handle, runtime = one.found, serving.runtimes[one.runtime]
        if handle is None:
            return
        self._pool = self._pool or Workers(THREADS, serving.loop.post)
        self._over.pop(name, None)
        self._testing.add(name)

        def ended() -> str | None:
            serving.loop.post(serving.watching.look_soon)
            return self._over.get(name)

        terminate = partial(runtime.signal, handle)
        subject = Subject(one.host, one.port, ended, terminate)
        terms = Terms.of(one.serving_spec())

        def tested(checks: list[dict[str, Any]] | None, error: Exception | None) -> None:
            self._testing.discard(name)
            if checks is None:
                log.error("the contract test failed", exc_info=error, extra={"replica": name})
                one.ending, one.ending_why = Ending.FAILED, f"the test itself failed: {error}"
            else:
                one.contract = checks
                if one.ending is Ending.NONE:
                    one.ending = Ending.DONE
            serving.save(one)
            serving.news(0.0)
            serving.advance(one)
            serving.watching.look_soon()

        serving.work(one, self._pool, partial(run_contract, subject, terms), tested)

    def over(self, one: Replica, status: Status) -> None:
        """Note that a server under test has ended, for the test to see."""
        if one.replica in self._testing:
            self._over[one.replica] = exit_words(one, status)

    def break_off(self, one: Replica) -> None:
        """Nobody wants the test any more: its server is ended, and with it the test."""
        handle = one.found
        if one.replica in self._testing and one.wanted is not Wanted.SERVE and handle is not None:
            runtime = self.serving.runtimes[one.runtime]
            kill = partial(runtime.signal, handle, kill=True)
            self.serving.acting.submit(kill, lambda *_: self.serving.watching.look_soon())

    def forget(self, one: Replica) -> None:
        self._over.pop(one.replica, None)
