"""What this machine is and how busy it is: processor, memory, disk, load, GPUs.

Read from /proc; of GPUs what devices.py found. A number that cannot be read is left out or None,
never guessed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clusters.agent.protocol import EventKind, timestamp

PROC = Path("/proc")


class Metrics:
    """Measures between two calls of `event`; one instance per agent."""

    def __init__(self, work: Path, *, proc: Path = PROC) -> None:
        self.work = work
        self.proc = proc
        self.gpus: list[dict[str, Any]] = []
        self._busy, self._total = self._processor_ticks()

    def event(self, at: float, site: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return a metrics event; processor use since the last one. `site` is what the scheduler
        says of the whole site.
        """
        total, available = self._memory_mib()
        return {
            **({"site": dict(site)} if site is not None else {}),
            "at": timestamp(at),
            "kind": EventKind.METRICS.value,
            "cpu_percent": self._processor_percent(),
            "memory_mib": None if total is None else total - (available or 0),
            "memory_total_mib": total,
            "load1": _load(),
            "disk_free_mib": self.disk_free_mib(),
            "gpus": [
                {name: gpu[name] for name in gpu if name != "name"} for gpu in list(self.gpus)
            ],
        }

    def capacity(self) -> dict[str, Any]:
        """Return the part of the exchange's capacity that is the machine's."""
        return {
            "memory_mib": self.memory_total_mib(),
            "disk_free_mib": self.disk_free_mib(),
        }

    def memory_total_mib(self) -> int | None:
        return self._memory_mib()[0]

    def disk_free_mib(self) -> int | None:
        try:
            return shutil.disk_usage(self.work).free // 2**20
        except OSError:
            return None

    def _processor_percent(self) -> float | None:
        busy, total = self._processor_ticks()
        spent = total - self._total
        percent = 100.0 * (busy - self._busy) / spent if spent > 0 else None
        self._busy, self._total = busy, total
        return None if percent is None else round(min(max(percent, 0.0), 100.0), 1)

    def _processor_ticks(self) -> tuple[int, int]:
        try:
            line = (self.proc / "stat").read_text(encoding="ascii").split("\n", 1)[0]
            ticks = [int(word) for word in line.split()[1:9]]
        except (OSError, ValueError):
            return 0, 0
        idle = sum(ticks[3:5])
        return sum(ticks) - idle, sum(ticks)

    def _memory_mib(self) -> tuple[int | None, int | None]:
        found: dict[str, int] = {}
        try:
            for line in (self.proc / "meminfo").read_text(encoding="ascii").splitlines():
                name, _, rest = line.partition(":")
                if name in ("MemTotal", "MemAvailable"):
                    found[name] = int(rest.split()[0]) // 1024
        except (OSError, ValueError, IndexError):
            return None, None
        return found.get("MemTotal"), found.get("MemAvailable")


def _load() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None
