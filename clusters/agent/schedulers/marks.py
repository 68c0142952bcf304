"""The marks by which a job's start and end are known: small files in its control folder.

Every scheduler puts the same shell text between itself and the program. Its first act is to create
the start marker exclusively: whoever loses that race runs nothing, so an attempt is executed at
most once, whatever was killed or submitted twice. The exit code is on disk although the agent may
be gone.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from clusters.agent import procfs
from clusters.agent.procfs import Identity

SHELL = "/bin/sh"
STARTED, TIMES, EXIT = "started", "times", "exit"
LOST_THE_RACE = 125

# Only shell builtins, since each process costs a millisecond. Handlers, unlike ignored signals, are
# not inherited: the program sees SIGTERM, the shell outlives it and writes the exit marker. That
# marker is complete once it ends in a newline, so a cut one is recognised without a rename.
WRAPPER = r"""
trap : TERM INT HUP QUIT XCPU USR1 USR2
ulimit -c 0
control=$1 log=$2 input=$3
shift 3
read -r boot </proc/sys/kernel/random/boot_id
read -r stat </proc/$$/stat
set -C
echo "$boot $stat" >"$control/started" || exit 125
set +C
"$@" <"$input" >"$log" 2>stderr.txt
code=$?
times >"$control/times"
echo "exit $code" >"$control/exit"
exit "$code"
"""


def has_begun(control: Path) -> bool:
    """Whether anybody holds the start marker."""
    return (control / STARTED).exists()


def fence(control: Path) -> bool:
    """Take the start marker, so that the job can never begin; return whether it had not begun.
    Raises OSError.
    """
    with contextlib.suppress(FileExistsError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        os.close(os.open(control / STARTED, flags, 0o600))
        return True
    return False


def read_started(control: Path) -> tuple[Identity | None, float | None]:
    """Return who holds the start marker, since when; one cut by a full disk counts as none."""
    path = control / STARTED
    try:
        line, since = path.read_text(encoding="utf-8", errors="replace"), path.stat().st_mtime
    except OSError:
        return None, None
    boot, _, rest = line.partition(" ")
    stat = procfs.parse_stat(rest) if line.endswith("\n") else None
    return (Identity(boot, stat.pid, stat.start) if stat else None), since


def read_exit(control: Path) -> tuple[int | None, float | None]:
    path = control / EXIT
    try:
        line, moment = path.read_text(encoding="ascii", errors="replace"), path.stat().st_mtime
    except OSError:
        return None, None
    word, _, code = line.partition(" ")
    if word != "exit" or not code.endswith("\n") or not code.strip().isdigit():
        return None, None
    return int(code), min(moment, time.time())


def read_times(control: Path) -> float | None:
    """Return the processor seconds that the shell's `times` wrote: lines such as `0m1.250s
    0m0.100s`.
    """
    try:
        words = (control / TIMES).read_text(encoding="ascii", errors="replace").split()
        parts = [word.rstrip("s").replace(",", ".").split("m") for word in words]
        return round(sum(60 * float(minutes) + float(seconds) for minutes, seconds in parts), 3)
    except (OSError, ValueError):
        return None
