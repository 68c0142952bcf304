"""What this machine is and how busy it is: processor, memory, disk, load, GPUs.

Read from /proc, and from nvidia-smi where there is one. A number that cannot be read is left out or
None, never guessed. GPUs are asked in a worker thread, since nvidia-smi may take a second.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from clusters.agent.protocol import EventKind, timestamp

NVIDIA_SMI_S = 10
GPU_FIELDS = "index,name,utilization.gpu,memory.used,memory.total"
PROC = Path("/proc")


class Metrics:
    """Measures between two calls of `event`; one instance per agent."""

    def __init__(self, work: Path, *, proc: Path = PROC) -> None:
        self.work = work
        self.proc = proc
        self.gpus: list[dict[str, Any]] = []
        self._busy, self._total = self._processor_ticks()

    def event(self, at: float) -> dict[str, Any]:
        """Return a metrics event; processor use since the last one."""
        total, available = self._memory_mib()
        return {
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
            "memory_mib": self._memory_mib()[0],
            "disk_free_mib": self.disk_free_mib(),
            "gpus": [
                {
                    "index": gpu["index"],
                    "name": gpu["name"],
                    "memory_mib": gpu["memory_total_mib"],
                }
                for gpu in list(self.gpus)
            ],
        }

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


def ask_gpus() -> list[dict[str, Any]]:
    """Return the NVIDIA GPUs with their use now, none where nvidia-smi is absent or fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-gpu={GPU_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(  # noqa: S603  (a constant command)
            command, capture_output=True, text=True, timeout=NVIDIA_SMI_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_gpus(answer.stdout)


def parse_gpus(text: str) -> list[dict[str, Any]]:
    """Read nvidia-smi's lines; a field such as `[N/A]` becomes None."""
    gpus = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 5 or not fields[0].isdigit():
            continue
        use, used, total = (_number(field) for field in fields[2:])
        gpus.append(
            {
                "index": int(fields[0]),
                "name": fields[1],
                "utilisation_percent": use,
                "memory_mib": used,
                "memory_total_mib": total,
            }
        )
    return gpus


def _number(field: str) -> int | None:
    try:
        return int(float(field))
    except ValueError:
        return None
