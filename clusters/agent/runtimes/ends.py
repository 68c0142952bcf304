"""How launches end, whatever ran them: by which signal, and whether for want of memory.

Engines and shells tell of an end by its exit code alone; that the kernel killed for memory shows in
the count that it keeps for the whole machine.
"""

from __future__ import annotations

KILLED = 137  # 128 and SIGKILL


def signal_of(code: int | None) -> int | None:
    """Return the signal that a shell's exit code stands for."""
    return code - 128 if code is not None and 128 < code <= 192 else None


class Kills:
    """Who was killed, by us or by the kernel: counts of `cgroup.oom_kills`, by launch."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._ours: set[str] = set()

    def note(self, reference: str, count: int | None) -> None:
        """Note the kernel's count from before a look at which the launch was there."""
        if count is not None:
            self._counts[reference] = count

    def by_us(self, reference: str) -> None:
        self._ours.add(reference)

    def are_ours(self, reference: str) -> bool:
        return reference in self._ours

    def for_memory(self, reference: str, code: int | None, *, now: int | None, first: int) -> bool:
        """Whether the kernel has killed since the last look; `first`: its count at the start, which
        outlives this process.
        """
        before = self._counts.get(reference, first)
        return code == KILLED and reference not in self._ours and (now or 0) > before

    def forget(self, reference: str) -> None:
        self._counts.pop(reference, None)
        self._ours.discard(reference)
