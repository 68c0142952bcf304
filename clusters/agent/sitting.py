"""How long a session of the carrier `ssh` lasts: while there is something in hand, and a moment
more.

What runs goes on without any process of the agent. Called by the loop's thread alone.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusters.agent.records import IN_SCHEDULER, Phase, Stop

if TYPE_CHECKING:
    from clusters.agent.agent import Agent

log = logging.getLogger(__name__)

LOOK_S = 0.05
MOST_FAILURES = 3
IN_HAND = frozenset({Phase.STARTING, Phase.EVALUATING, Phase.UPLOADING})


@dataclass
class Terms:
    """What the portal allows: the longest stay, and how long to wait for what may come next."""

    length_s: float = 600.0
    linger_s: float = 1.0


class Sitting:
    """Ends the agent's loop; `why` says for which reason, `more` whether something was in hand."""

    def __init__(self, agent: Agent, terms: Terms) -> None:
        self.agent = agent
        self.terms = terms
        self.why = ""
        self.more = False
        self._began = self._busy_at = time.monotonic()

    def begin(self) -> None:
        loop, exchanger = self.agent.loop, self.agent.exchanger
        loop.every(LOOK_S, self._look)
        loop.every(float(exchanger.settings["exchange_s"]), exchanger.news)  # keeps the leases

    def told(self, word: str) -> None:
        """What the portal says unasked; called by the session's thread."""
        if word == "wake":
            self.agent.loop.post(self._wake)
        else:
            self.agent.loop.post(lambda: self._leave("over" if word == "over" else "told"))

    def _wake(self) -> None:
        self._busy_at = time.monotonic()
        self.agent.exchanger.news()

    def _look(self) -> None:
        now, exchanger = time.monotonic(), self.agent.exchanger
        in_hand = self.in_hand()
        if in_hand:
            self._busy_at = now
        if exchanger.superseded or exchanger.failures >= MOST_FAILURES:
            self._leave("refused")
        elif now - self._began > self.terms.length_s:
            self.more = in_hand
            self._leave("time")
        elif now - self._busy_at >= self.terms.linger_s and exchanger.silent:
            self._leave("done")

    def in_hand(self) -> bool:
        agent = self.agent
        return (
            not agent.exchanger.answered
            or agent.workers.active + agent.lifecycle.calls.pressing > 0
            or agent.lifecycle.scheduler.settling()
            or any(
                record.phase in IN_HAND
                or record.terminal
                or (record.phase in IN_SCHEDULER and record.stop is not Stop.NONE)
                for record in agent.lifecycle.records.values()
            )
        )

    def _leave(self, why: str) -> None:
        self.why = self.why or why
        self.agent.loop.stop()
