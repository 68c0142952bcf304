"""What the kernel counts for one container: processor time and memory, from its control group.

Read straight from the files of version 1 or 2, found by a process of the container; this costs
microseconds where an engine's own `stats` takes seconds.
"""

from __future__ import annotations

from pathlib import Path

from clusters.agent import procfs
from clusters.agent.procfs import PROC

ROOT = Path("/sys/fs/cgroup")
MIB = 2**20


def usage(
    pid: int, container: str, *, proc: Path = PROC, root: Path = ROOT
) -> tuple[float | None, float | None]:
    """Return (CPU seconds since the start, MiB now) of the container that `pid` belongs to.

    None for what cannot be read; also where that process is not of this container, since the
    engine may live in another machine, whose numbers mean nothing here.
    """
    try:
        lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None, None
    groups = {}
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if container in path:
            groups.update(dict.fromkeys(controllers.split(","), path.lstrip("/")))
    if "" in groups and "memory" not in groups:
        return _second(_of_container(root / groups[""], container))
    return _first(groups, root)


def namespace_usage(pid: int) -> tuple[float | None, float | None]:
    """Return the same for all processes that count their numbers as `pid` does, and so are of its
    container: where an account without privileges gets no control group, as with version 1.
    """
    own, wanted = _namespace("self"), _namespace(str(pid))
    if wanted is None or wanted == own:
        return None, None
    found = [stat for stat in procfs.processes() if _namespace(str(stat.pid)) == wanted]
    memory = procfs.own_mib(stat.pid for stat in found)
    ticks = sum(stat.ticks for stat in found)
    return ticks / procfs.TICKS_PER_S, None if memory is None else round(memory, 1)


def _namespace(pid: str) -> Path | None:
    try:
        return (PROC / pid / "ns" / "pid").readlink()
    except OSError:  # another user's
        return None


def oom_kills(proc: Path = PROC) -> int | None:
    """Return how many processes of this machine the kernel has killed for want of memory since it
    was started, in control groups or not.
    """
    return _field(proc / "vmstat", "oom_kill")


def _of_container(folder: Path, container: str) -> Path:
    """Return the group of the whole container; a process inside may have made groups below it."""
    for parent in (folder, *folder.parents):
        if container in parent.name:
            return parent
    return folder


def _first(groups: dict[str, str], root: Path) -> tuple[float | None, float | None]:
    cpu = memory = None
    if "cpuacct" in groups:
        nanoseconds = _number(root / "cpuacct" / groups["cpuacct"] / "cpuacct.usage")
        cpu = None if nanoseconds is None else nanoseconds / 1e9
    if "memory" in groups:
        folder = root / "memory" / groups["memory"]
        memory = _without_cache(
            _number(folder / "memory.usage_in_bytes"),
            _field(folder / "memory.stat", "total_inactive_file"),
        )
    return cpu, memory


def _second(folder: Path) -> tuple[float | None, float | None]:
    microseconds = _field(folder / "cpu.stat", "usage_usec")
    memory = _without_cache(
        _number(folder / "memory.current"), _field(folder / "memory.stat", "inactive_file")
    )
    return (None if microseconds is None else microseconds / 1e6), memory


def _without_cache(used: int | None, cache: int | None) -> float | None:
    """Files that were read once are kept in memory only while nobody needs the room."""
    return None if used is None else round(max(used - (cache or 0), 0) / MIB, 1)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _field(path: Path, name: str) -> int | None:
    try:
        for line in path.read_text(encoding="ascii").splitlines():
            word, _, value = line.partition(" ")
            if word == name:
                return int(value)
    except (OSError, ValueError):
        pass
    return None
