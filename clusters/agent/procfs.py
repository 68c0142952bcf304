"""What the Linux kernel tells of processes: identity that outlives a recycled number, groups,
memory.

A process is known by (boot of the machine, process id, start time); the process id alone is never
trusted.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_KIB = resource.getpagesize() // 1024
ZOMBIE = "Z"


@dataclass(frozen=True)
class Stat:
    """The fields of /proc/<pid>/stat that are used here; `start` in clock ticks since boot, `rss`
    in pages, `ticks` of the processor used by it and by those of its children that it waited for.
    """

    pid: int
    state: str
    group: int
    session: int
    start: int
    rss: int
    ticks: int = 0


@dataclass(frozen=True)
class Identity:
    """One process of one boot of one machine."""

    boot: str
    pid: int
    start: int

    def alive(self) -> bool:
        """Whether this very process exists and has not ended."""
        if self.boot != boot_id():
            return False
        stat = read_stat(self.pid)
        return stat is not None and stat.start == self.start and stat.state != ZOMBIE


def boot_id() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "-"


def parse_stat(line: str) -> Stat | None:
    """Read one line of /proc/<pid>/stat; the command in it may hold blanks and brackets."""
    head, _, tail = line.rpartition(")")
    fields = tail.split()
    try:
        return Stat(
            pid=int(head.split(" ", 1)[0]),
            state=fields[0],
            group=int(fields[2]),
            session=int(fields[3]),
            start=int(fields[19]),
            rss=int(fields[21]),
            ticks=sum(int(field) for field in fields[11:15]),
        )
    except (ValueError, IndexError):
        return None


def read_stat(pid: int) -> Stat | None:
    try:
        return parse_stat((PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def processes() -> Iterator[Stat]:
    """Yield every process that can be seen now."""
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            stat = read_stat(int(entry.name))
            if stat is not None:
                yield stat


def session_members(leader: Identity) -> list[Stat]:
    """Return the living processes of the session that `leader` began, whether or not it lives
    itself.

    The kernel does not reuse a number while a session bears it, and members are never older than
    the leader.
    """
    if leader.boot != boot_id():
        return []
    found = [stat for stat in processes() if stat.session == leader.pid and stat.state != ZOMBIE]
    if any(stat.pid == leader.pid and stat.start != leader.start for stat in found):
        return []
    return [stat for stat in found if stat.start >= leader.start]


def session_memory_mib() -> dict[int, float]:
    """Return resident memory summed by session; pages shared between its processes count
    repeatedly.
    """
    memory: dict[int, float] = {}
    for stat in processes():
        memory[stat.session] = memory.get(stat.session, 0.0) + stat.rss * PAGE_KIB / 1024
    return memory


def own_mib(pids: Iterable[int]) -> float | None:
    """Return the memory that would be free again if these processes ended: pages shared between
    them once, pages of files not at all. None where the kernel does not tell.
    """
    total = 0.0
    for pid in pids:
        try:
            text = (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii")
            sizes = dict(line.split(":", 1) for line in text.splitlines()[1:])
            parts = [sizes.get(name) for name in ("Pss_Anon", "Pss_Shmem")]
            counted = parts if all(parts) else [sizes["Pss"]]
            total += sum(int(size.split()[0]) for size in counted if size) / 1024
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        except (OSError, KeyError, IndexError, ValueError):
            return None
    return total


def proportional_mib(leader: Identity) -> float | None:
    """Return a session's memory with shared pages counted once, None where the kernel does not
    tell.
    """
    total = 0.0
    for stat in session_members(leader):
        try:
            text = (PROC / str(stat.pid) / "smaps_rollup").read_text(encoding="ascii")
            total += int(text.split("\nPss:", 1)[1].split()[0]) / 1024
        except (OSError, IndexError, ValueError):
            return None
    return total
