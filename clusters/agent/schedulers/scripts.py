"""The shell text of one job, and the notes about its submission beside it in its control folder.

Every word that comes from outside is quoted for the shell; names of variables that are no names are
left out. The notes are the intent (written before the scheduler is asked) and the id (after).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from clusters.agent.schedulers import marks
from clusters.agent.schedulers.base import Job, StartFailed

INTENT, SUBMITTED, MISSES, TRIES = "intent", "submitted", "misses", "tries"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What belongs to the machine or the session of the agent, and is another's where the job runs.
OF_THE_AGENT = frozenset(
    [
        "_",
        "CUDA_VISIBLE_DEVICES",
        "DBUS_SESSION_BUS_ADDRESS",
        "DISPLAY",
        "GPU_DEVICE_ORDINAL",
        "HOST",
        "HOSTNAME",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "LISTEN_FDS",
        "LISTEN_PID",
        "NVIDIA_VISIBLE_DEVICES",
        "OLDPWD",
        "PWD",
        "ROCR_VISIBLE_DEVICES",
        "SHLVL",
        "TMP",
        "TMPDIR",
        "XAUTHORITY",
        "XDG_RUNTIME_DIR",
        "XDG_SESSION_ID",
    ]
)
OF_OTHER_JOBS = ("SLURM_", "SBATCH_", "SRUN_", "PBS_", "PMI_", "PMIX_", "OMPI_", "SSH_", "SYSTEMD_")


@dataclass(frozen=True)
class Note:
    """What is known of a job's submission: the name under which it was, or is to be, submitted;
    its number in the array, None where it is none; its id, "" before the scheduler has told.
    """

    name: str
    index: int | None = None
    id: str = ""


def job_script(job: Job, *, setup: str = "", prelude: tuple[str, ...] = ()) -> str:
    """Return what the job does, as text for a POSIX shell. Raises StartFailed for a NUL in it."""
    stdin = str(job.folder / job.stdin_file) if job.stdin_file else os.devnull
    words = [str(job.control), job.log_file, stdin, *job.command]
    exports = [
        f"export {name}={shlex.quote(value)}"
        for name, value in job.environment.items()
        if VARIABLE.fullmatch(name)
        and name not in OF_THE_AGENT
        and not name.startswith(OF_OTHER_JOBS)
    ]
    lines = [
        "#!/bin/sh",
        *exports,
        *prelude,
        *([f". {shlex.quote(setup)}"] if setup else []),
        f"cd {shlex.quote(str(job.folder))} || exit 126",
        f"set -- {shlex.join(words)}",
    ]
    text = "\n".join(lines) + "\n" + marks.WRAPPER
    if "\0" in text:
        raise StartFailed("the program's command cannot be used: it holds a NUL")
    return text


def write_text(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a whole file or none of it. Raises OSError."""
    temporary = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(
        os.open(temporary, flags, mode), "w", encoding="utf-8", errors="surrogateescape"
    ) as stream:
        stream.write(text)
    temporary.replace(path)


def note(control: Path, what: str, content: Note) -> None:
    """Write a note of a kind, INTENT or SUBMITTED. Raises OSError."""
    write_text(control / what, json.dumps(asdict(content)))


def read_note(control: Path, what: str) -> Note | None:
    """Return a note; None where there is none, or nobody can read it."""
    try:
        document = json.loads((control / what).read_text(encoding="utf-8"))
        return Note(str(document["name"]), document["index"], str(document["id"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_misses(control: Path) -> tuple[int, float]:
    """Return how many answers have lacked the job in a row, and since when (seconds since 1970)."""
    try:
        count, since = json.loads((control / MISSES).read_text(encoding="utf-8"))
        return int(count), float(since)
    except (OSError, ValueError, TypeError):
        return 0, 0.0


def write_misses(control: Path, count: int, since: float) -> None:
    """Raises OSError."""
    if count:
        write_text(control / MISSES, json.dumps([count, since]))
    else:
        (control / MISSES).unlink()


def read_tries(control: Path) -> int:
    """Return how many submissions have stayed without an answer."""
    try:
        return int((control / TRIES).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def write_tries(control: Path, count: int) -> None:
    """Raises OSError."""
    write_text(control / TRIES, str(count))


def drop_intent(control: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        (control / INTENT).unlink()


def read_end(path: Path, limit: int = 4000) -> str:
    """Return the end of a text file. Raises OSError."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - limit))
        return stream.read(limit).decode("utf-8", errors="replace")
