"""The programs of a fake site: one module that is sbatch, qstat, … by the name it is called by.

An answer is made first; then the faults of the site do to it what they are there for.
"""

from __future__ import annotations

import os
import sys
import time

from clusters.rehearsal import faults
from clusters.rehearsal.answers import Answer
from clusters.rehearsal.options import WrongOption
from clusters.rehearsal.running import advance
from clusters.rehearsal.state import State

SLURM = ("sbatch", "squeue", "sacct", "scancel", "sinfo", "scontrol", "sacctmgr", "sdiag")
PBS = ("qsub", "qstat", "qdel", "pbsnodes", "qsig", "qmgr", "tracejob")
SUBMITTING = ("sbatch", "qsub")


def main(folder: str, name: str, arguments: list[str]) -> int:
    """Answer one call and return the exit code."""
    state = State(folder)
    hits = {fault["kind"]: fault for fault in faults.take(folder, name, faults.OF_PROGRAMS)}
    answer = _before(name, hits)
    if answer is None:
        advance(state)
        answer = _answer(state, name, arguments, forget=hits.get("forget"))
        if name in SUBMITTING:
            advance(state)
        answer = _after(name, answer, hits)
    _log(folder, name, arguments, answer)
    sys.stdout.buffer.write(answer.bytes_out())
    sys.stderr.buffer.write(answer.err.encode())
    return answer.code


def _answer(state: State, name: str, arguments: list[str], forget: dict | None) -> Answer:
    slurm = name in SLURM
    try:
        if slurm:
            from clusters.rehearsal import slurm as family
        else:
            from clusters.rehearsal import pbs as family
        return family.answer(state, name, arguments, forget=float((forget or {}).get("share", 0)))
    except WrongOption as error:
        return Answer(err=f"{name}: error: {error}\n" if slurm else f"{name}: {error}\n", code=1)


def _before(name: str, hits: dict[str, dict]) -> Answer | None:
    """Faults after which nothing has happened."""
    if "hang" in hits:
        time.sleep(float(hits["hang"].get("seconds", 30)))
    if "time_out" in hits:
        return _does_not_answer(name)
    if "refuse" in hits:
        fault = hits["refuse"]
        text = fault.get("text") or f"{name}: error: refused by the rehearsal"
        return Answer(err=f"{text}\n", code=int(fault.get("code", 1)))
    return None


def _after(name: str, answer: Answer, hits: dict[str, dict]) -> Answer:
    """Faults of the answer alone."""
    if "submit_hang" in hits and name in SUBMITTING:
        time.sleep(float(hits["submit_hang"].get("seconds", 30)))
    if "submit_error" in hits and name in SUBMITTING:
        return _does_not_answer(name)
    if "empty" in hits:
        return Answer()
    if "garbage" in hits:
        return Answer(raw=bytes(range(128, 256)) + b"\x00\x1f\n", code=answer.code)
    if "partial" in hits:
        lines = answer.out.splitlines(keepends=True)
        answer.out = "".join(lines[: len(lines) // 2])
    if "cut" in hits:
        answer.out = answer.out[: len(answer.out) * 2 // 3]
    if "locale" in hits:
        answer.out, answer.err = _german(answer.out), _german(answer.err)
    if "strange_state" in hits:
        for word in ("RUNNING", "PENDING", "COMPLETING", "job_state = R", "job_state = Q"):
            strange = "job_state = Y" if "=" in word else "REFLECTING"
            answer.out = answer.out.replace(word, strange)
    return answer


def _does_not_answer(name: str) -> Answer:
    if name in SLURM:
        words = {
            "sbatch": "sbatch: error: Batch job submission failed: Socket timed out on send/recv"
            " operation\n",
            "sacct": "sacct: error: slurm_persist_conn_open: Something happened with the receiving/"
            "processing of the persistent connection init message to localhost:6819\n",
        }
        text = "slurm_load_jobs error: Socket timed out on send/recv operation\n"
        return Answer(err=words.get(name, text), code=1)
    return Answer(err=f"{name}: cannot connect to server rehearsal (errno=15010)\n", code=10)


def _german(text: str) -> str:
    words = {
        "Submitted batch job": "Batch-Job gestartet:",
        "Unknown Job Id": "Unbekannte Job-Nummer",
        "Invalid job id specified": "Ungültige Job-Nummer",
        "Jan": "Jän",
        "Mar": "Mär",
        "May": "Mai",
        "Oct": "Okt",
        "Dec": "Dez",
        "Mon ": "Mo ",
        "Tue ": "Di ",
        "Wed ": "Mi ",
        "Thu ": "Do ",
        "Fri ": "Fr ",
        "Sat ": "Sa ",
        "Sun ": "So ",
    }
    for english, german in words.items():
        text = text.replace(english, german)
    return text


def _log(folder: str, name: str, arguments: list[str], answer: Answer) -> None:
    """One line a call, for tests that count calls and admins who wonder."""
    said = " ".join(arguments).replace("\n", " ").replace("\x1f", "|")[:300]
    line = f"{time.time():.3f} {name} {answer.code} {said}\n"
    log = os.open(f"{folder}/calls.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(log, line.encode(errors="replace"))
    os.close(log)
