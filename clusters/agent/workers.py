"""A few daemon threads for what may take long; answers come back to the loop's thread.

Unlike an executor's, these threads never hold up the end of the agent.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

Task = Callable[[], Any]
Answer = Callable[[Any, "Exception | None"], None]


class Workers:
    """`post` must bring a callable to the loop's thread; it may be called from any thread."""

    def __init__(self, count: int, post: Callable[[Callable[[], None]], None]) -> None:
        self.post = post
        self.active = 0  # tasks handed in and not answered yet; the loop's thread alone counts
        self._tasks: queue.SimpleQueue[tuple[Task, Answer]] = queue.SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True).start()

    def submit(self, task: Task, answer: Answer) -> None:
        """Call `task` in a thread, then `answer(result, error)` in the loop's."""
        self.active += 1
        self._tasks.put((task, answer))

    def _work(self) -> None:
        while True:
            task, answer = self._tasks.get()
            result, error = None, None
            try:
                result = task()
            except Exception as raised:
                error = raised
            self.post(lambda a=answer, r=result, e=error: self._answer(a, r, e))

    def _answer(self, answer: Answer, result: Any, error: Exception | None) -> None:
        self.active -= 1
        answer(result, error)
