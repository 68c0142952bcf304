"""Where calls of the scheduler are made: at once, or in a thread of their own where they may take
long; never two at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters.agent.loop import EventLoop
from clusters.agent.schedulers.base import Scheduler
from clusters.agent.workers import Answer, Task, Workers


class Calls:
    def __init__(self, scheduler: Scheduler, loop: EventLoop) -> None:
        self._workers = Workers(1, loop.post) if scheduler.blocking else None
        self._routine = 0

    @property
    def active(self) -> int:
        """How many calls wait or are under way."""
        return self._workers.active if self._workers else 0

    @property
    def pressing(self) -> int:
        """Those of them by which something is wanted; the others come again by themselves."""
        return self.active - self._routine

    def make(self, task: Task, answer: Answer, *, routine: bool = False) -> None:
        """Make a call, then `answer(result, error)` in the loop's thread."""

        def answered(result: Any, error: Exception | None) -> None:
            self._routine -= routine
            answer(result, error)

        if self._workers:
            self._routine += routine
            self._workers.submit(task, answered)
        else:
            answer(*_outcome(task))


def _outcome(task: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return task(), None
    except Exception as raised:
        return None, raised
