"""The agent's own circuit breaker: a machine that loses run after run offers no slot any more.

What ends by itself, well or not, shows that the machine works and begins the count anew.
"""

from __future__ import annotations

import logging

from clusters.agent.records import Phase

log = logging.getLogger(__name__)

HELD_AFTER = 30  # runs lost in a row


class Breaker:
    def __init__(self, held_after: int = HELD_AFTER) -> None:
        self.held_after = held_after
        self.lost = 0
        self.held = ""  # why, as the portal is told; empty while work is taken

    def note(self, phase: Phase, why: str) -> None:
        """Take in that an attempt came to a phase."""
        if phase is Phase.FINISHED:
            self.lost = 0
        elif phase is Phase.LOST:
            self.lost += 1
            if self.lost >= self.held_after and not self.held:
                self.held = f"{self.lost} runs were lost in a row; the last: {why}"[:300]
                log.error("no further run is started: %s", self.held)

    def reset(self) -> bool:
        """The portal says that work is to be tried again; return whether it was held."""
        was_held, self.held, self.lost = bool(self.held), "", 0
        if was_held:
            log.info("runs are started again")
        return was_held
