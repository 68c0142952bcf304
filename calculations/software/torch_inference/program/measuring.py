"""What a process has used, by the kernel's own counts, and what machine it is on."""

from __future__ import annotations

import os
import platform
import re
import resource
import time
from pathlib import Path
from typing import Any

HWM = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
PROCESSOR = re.compile(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", re.MULTILINE)
MEMORY = re.compile(r"^(MemTotal|MemAvailable):\s+(\d+) kB", re.MULTILINE)


def peak_mib() -> float:
    """The most that this process has held at once, shared pages counted whole."""
    found = HWM.search(_read("/proc/self/status"))
    if found:
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def own_mib() -> float | None:
    """What it holds now, shared pages counted by their share: such numbers may be added up."""
    found = PSS.search(_read("/proc/self/smaps_rollup"))
    return int(found[1]) / 1024 if found else None


def cpu_s() -> float:
    """Processor time of all threads of this process: user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def begun() -> float:
    """When this process began, on the clock of time.monotonic; now where that is not told."""
    try:
        fields = _read("/proc/self/stat").rpartition(")")[2].split()
        since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return since_boot + time.monotonic() - time.clock_gettime(time.CLOCK_BOOTTIME)
    except (IndexError, ValueError, OSError, AttributeError):
        return time.monotonic()


def system() -> dict[str, Any]:
    """What System_Info.json of the published runs says, of this machine."""
    name = platform.uname()
    memory = {k: int(v) // 1024 for k, v in MEMORY.findall(_read("/proc/meminfo"))}
    processor = PROCESSOR.search(_read("/proc/cpuinfo"))
    return {
        "system": name.system,
        "node": name.node,
        "release": name.release,
        "machine": name.machine,
        "platform": platform.platform(),
        "processor": processor[1].strip() if processor else name.processor,
        "architecture": list(platform.architecture()),
        "cores": os.cpu_count() or 1,
        "cores_allowed": len(os.sched_getaffinity(0)),
        "memory_mib": memory.get("MemTotal"),
        "memory_available_mib": memory.get("MemAvailable"),
        "python": platform.python_version(),
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
