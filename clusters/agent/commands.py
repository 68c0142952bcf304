"""Calls of the site's own programs (sbatch, qstat, …): bounded in time and output, each with a line
in the log.

Argument lists only, never a shell. Nothing raises: a program that is absent, hangs or floods gives
an answer that says so.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

log = logging.getLogger(__name__)

MAX_OUTPUT = 8 * 1024 * 1024  # bytes of each stream; the rest is read and thrown away
CHUNK = 65_536
REAP_S = 5.0
# Of a job within which the agent itself may run; they would make the commands speak of that job.
FOREIGN = ("SLURM_JOB", "SLURM_STEP", "SLURM_ARRAY", "SLURM_TASK", "SBATCH_", "SQUEUE_", "SACCT_")
FOREIGN_WORDS = ("PBS_JOBID", "PBS_ARRAY_INDEX", "PBS_ENVIRONMENT", "SLURM_TIME_FORMAT")


@dataclass(frozen=True)
class Answer:
    """What a program said. `code` is None where it did not end by itself; `problem` says why then,
    and also where the output is not whole.
    """

    code: int | None
    out: str
    err: str = ""
    problem: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether it ended well and all that it said is here."""
        return self.code == 0 and not self.problem

    @property
    def words(self) -> str:
        """What went wrong, in the program's own words where it has any."""
        return (self.err.strip() or self.problem or self.out.strip() or f"exit code {self.code}")[
            :500
        ]


def call(
    arguments: Sequence[str],
    *,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    max_output: int = MAX_OUTPUT,
    keep_open: Sequence[int] = (),
    folders: str = "",
) -> Answer:
    """Run a program to its end, at most `timeout_s`; what it started is killed with it then.

    `keep_open` are descriptors that the program inherits; `folders` stand before those of PATH.
    """
    began = time.monotonic()
    clean = clean_environment(os.environ, environment or {})
    if folders:
        clean["PATH"] = f"{folders}{os.pathsep}{clean.get('PATH', os.defpath)}"
    try:
        child = subprocess.Popen(  # noqa: S603  (an argument list of our own making)
            [shutil.which(arguments[0], path=clean.get("PATH")) or arguments[0], *arguments[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean,
            start_new_session=True,
            pass_fds=tuple(keep_open),
        )
    except (OSError, ValueError) as error:
        return _noted(arguments, Answer(None, "", "", _absent(arguments, error)))
    streams, cut, in_time = _read(child, began + timeout_s, max_output)
    code: int | None = None
    if in_time:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = child.wait(max(began + timeout_s - time.monotonic(), 0.0))
    if code is None:
        _kill(child)
    problem = ""
    if code is None:
        problem = f"{arguments[0]} gave no answer within {timeout_s:g} s"
    elif cut:
        problem = f"{arguments[0]} said more than {max_output} bytes"
    elif code < 0:
        problem = f"{arguments[0]} was ended by signal {-code}"
    out, err = (bytes(stream).decode("utf-8", errors="replace") for stream in streams)
    return _noted(arguments, Answer(code, out, err, problem, time.monotonic() - began))


def clean_environment(own: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which programs speak English, and of no job of their own."""
    clean = {
        name: value
        for name, value in own.items()
        if not name.startswith(("LABPORTAL_", "LC_", *FOREIGN)) and name not in FOREIGN_WORDS
    }
    return {**clean, "LANG": "C", "LC_ALL": "C", "LANGUAGE": "C", **more}


def _read(
    child: subprocess.Popen[bytes], deadline: float, max_output: int
) -> tuple[list[bytearray], bool, bool]:
    """Return both streams, whether something was cut off, and whether they ended in time."""
    assert child.stdout is not None and child.stderr is not None  # noqa: S101  (asked for above)
    streams, cut = [bytearray(), bytearray()], False
    with selectors.DefaultSelector() as selector, child.stdout, child.stderr:
        for pipe, stream in zip((child.stdout, child.stderr), streams):
            selector.register(pipe, selectors.EVENT_READ, stream)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return streams, cut, False
            for key, _ in selector.select(left):
                piece = os.read(key.fd, CHUNK)
                if not piece:
                    selector.unregister(key.fileobj)
                room = max_output - len(key.data)
                key.data.extend(piece[:room])
                cut = cut or len(piece) > room
    return streams, cut, True


def _kill(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel, on a dead disk say
        child.wait(REAP_S)


def _absent(arguments: Sequence[str], error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{arguments[0]} is not installed here, or not in the agent's PATH"
    return f"{arguments[0]} cannot be started: {error}"


def _noted(arguments: Sequence[str], answer: Answer) -> Answer:
    shown = shlex.join(arguments)
    shown = shown if len(shown) <= 300 else f"{shown[:300]} …"
    if answer.good:
        log.debug("%s: %.2f s", shown, answer.seconds)
    else:
        log.info("%s: code %s, %.300s", shown, answer.code, answer.words)
    return answer
