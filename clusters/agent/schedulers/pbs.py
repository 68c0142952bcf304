"""PBS's language: qsub, qstat, qdel, pbsnodes, of PBS Professional and OpenPBS, and of Torque.

`flavour` says whose; `qstat --version` tells it. The text of `qstat -f` is read, since its JSON is
not always JSON. A job's whole name travels in a variable of its own: PBS shows 15 letters.
"""

from __future__ import annotations

import hashlib
import math
import os
import pwd
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from calculations.software.base import Resources
from clusters.agent.commands import Answer
from clusters.agent.schedulers import pbs_jobs, pbs_site, pbs_text
from clusters.agent.schedulers.base import Job, Status, SubmissionRefused, TryLater
from clusters.agent.schedulers.dialect import (
    Books,
    Dialect,
    Found,
    JobState,
    PollAnswer,
    Submission,
    Unclear,
)
from clusters.agent.schedulers.pbs_site import PRO, TORQUE, WRAPPERS

NAME_LETTERS = 15
PLAIN = re.compile(r"[\w.@+\-]*", re.ASCII)  # names of queues, accounts, licences
SUBMITTED_ID = re.compile(r"\d+(\[\])?(\.[\w.\-]+)?$", re.ASCII)
UNKNOWN_ID = re.compile(r"unknown job ?id", re.IGNORECASE)
FINISHED = re.compile(r"(\d+(?:\[\d*\])?)[\w.\-]*\s+job has finished", re.IGNORECASE)
FINISHED_FIRST = re.compile(r"job has finished\D*(\d+(?:\[\d*\])?)", re.IGNORECASE)
# The server was not reached, or its answer was not: it may have the job all the same.
NO_CONTACT = re.compile(
    r"cannot connect|could not connect|connection (refused|reset)|no server|end of file|premature"
    r" end|timed? ?out|timeout|broken pipe|no reply|protocol|communication|interrupted",
    re.IGNORECASE,
)
# Asked again later, it may be taken.
NOT_NOW = re.compile(
    r"server (is )?(busy|shutting)|exceeds? .*(limit of jobs|limit on (the )?number|max_queued)"
    r"|maximum number of jobs|limit .*queued|queue is not enabled|try again|temporar",
    re.IGNORECASE,
)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return os.environ.get("USER", str(os.getuid()))


@dataclass(frozen=True)
class Pbs(Dialect):
    flavour: str = PRO
    user: str = field(default_factory=_user)

    kind = "pbs"
    launcher = "mpirun -n {tasks}"

    @property
    def array_variable(self) -> str:  # type: ignore[override]
        return "PBS_ARRAY_INDEX" if self.flavour == PRO else "PBS_ARRAYID"

    def adapted(self, version: str) -> Dialect:
        """Slurm's wrappers give the tasks of an array numbers that nobody can foresee."""
        flavours = (PRO, TORQUE, WRAPPERS)
        flavour = next((f for f in flavours if version.startswith(f)), self.flavour)
        options = replace(self.options, array_max=1) if flavour == WRAPPERS else self.options
        return replace(self, flavour=flavour, options=options)

    def shown_name(self, name: str) -> str:
        """PBS takes names of 15 letters at most, the first of which is no digit."""
        if len(name) <= NAME_LETTERS:
            return name
        digest = hashlib.sha256(name.encode()).hexdigest()
        return f"lab-{digest}"[:NAME_LETTERS]

    # Submitting

    def submit_arguments(self, submission: Submission) -> list[str]:
        asked = submission.job.resources
        last = len(submission.jobs) - 1
        array = ["-J" if self.flavour == PRO else "-t", f"0-{last}"] if last else []
        # PBS Pro refuses an array that must not run again; the start marker stands before that.
        rerun = "y" if array and self.flavour == PRO else "n"
        return [
            "qsub",
            *("-N", self.shown_name(submission.name)),
            *("-v", f"{pbs_jobs.MARKER}={submission.name}"),
            *("-r", rerun),
            *(() if self.flavour == WRAPPERS else ("-S", "/bin/sh")),
            *("-j", "oe"),
            *("-o", self._output(submission)),
            *_optional("-q", asked.partition or self.options.partition),
            *_optional("-A", asked.account or self.options.account),
            *(self._select(asked) if self.flavour == PRO else self._nodes(asked)),
            *array,
            *self.options.extra,
            str(submission.script),
        ]

    def _output(self, submission: Submission) -> str:
        if not submission.is_array:
            return str(submission.output)
        if self.flavour == PRO:
            return f"{submission.output}.^array_index^"
        return os.devnull

    def _select(self, asked: Resources) -> list[str]:
        """As many chunks as nodes; totals are shared out, rounded up."""
        nodes = max(1, asked.nodes)
        chunk = [
            f"select={nodes}",
            f"ncpus={_share(asked.cores, nodes)}",
            f"mpiprocs={_share(asked.tasks, nodes)}",
            f"mem={_share(asked.memory_mib, nodes)}mb",
        ]
        if asked.gpus:
            chunk.append(f"ngpus={_share(asked.gpus, nodes)}")
        if asked.gpu_type:
            chunk.append(f"gpu_type={_plain('gpu_type', asked.gpu_type)}")
        place = ["scatter"] * (nodes > 1) + ["excl"] * asked.exclusive
        return [
            *("-l", ":".join(chunk)),
            *(("-l", f"place={':'.join(place)}") if place else ()),
            *("-l", f"walltime={pbs_text.clock(asked.walltime_s)}"),
            *(word for name in asked.licences for word in ("-l", _licence(name))),
        ]

    def _nodes(self, asked: Resources) -> list[str]:
        """As Torque wants it, in one list: Slurm's wrappers read the last one alone."""
        nodes = max(1, asked.nodes)
        gpus = f":gpus={_share(asked.gpus, nodes)}" if asked.gpus else ""
        kind = f":{_plain('gpu_type', asked.gpu_type)}" if asked.gpu_type else ""
        listed = [
            f"nodes={nodes}:ppn={_share(asked.cores, nodes)}{gpus}{kind}",
            f"mem={max(1, asked.memory_mib)}mb",
            f"walltime={pbs_text.clock(asked.walltime_s)}",
            *(["naccesspolicy=singlejob"] if asked.exclusive else []),
            *([f"qos={_plain('qos', self._qos(asked))}"] if self._qos(asked) else []),
            *map(_licence, asked.licences),
        ]
        return ["-l", ",".join(listed)]

    def _qos(self, asked: Resources) -> str:
        return asked.qos or self.options.qos

    def refusal(self, job: Job, limits: dict[str, Any]) -> str:
        if self.flavour != TORQUE and self._qos(job.resources):
            return "PBS knows no quality of service (QOS): leave it empty and choose a queue"
        return ""

    def parse_submit(self, answer: Answer) -> str:
        for line in reversed(answer.out.splitlines()):
            if SUBMITTED_ID.match(line.strip()) and answer.code in (0, None):
                return pbs_text.short_id(line)
        words = _complaint(answer)
        if answer.code is None and not answer.seconds:
            raise TryLater(words)  # it was never started: qsub is absent
        if answer.code in (0, None) or answer.problem or NO_CONTACT.search(words):
            raise Unclear(words)
        if NOT_NOW.search(words):
            raise TryLater(words)
        if not answer.err.strip() and "error" not in answer.out:
            raise Unclear(words)
        raise SubmissionRefused(words)

    def task_id(self, array: str, index: int) -> str:
        return f"{array.partition('[')[0]}[{index}]"

    # Watching

    def poll_arguments(self, ids: Sequence[str]) -> list[str]:
        return ["qstat", "-f", *ids]

    def parse_poll(self, answer: Answer) -> PollAnswer | None:
        if not _answers(answer):
            return None
        found = {
            pbs_text.short_id(id): JobState(Status.ENDED, "F")
            for pattern in (FINISHED, FINISHED_FIRST)
            for id in pattern.findall(answer.err)
        }
        jobs = pbs_text.jobs(answer.out)
        return {**found, **{id: pbs_jobs.state_of(job) for id, job in jobs.items()}}

    def accounting_arguments(self, ids: Sequence[str]) -> list[str]:
        return ["qstat", *(["-x"] if self.flavour == PRO else []), "-f", *ids]

    def parse_accounting(self, answer: Answer) -> Books | None:
        if not _answers(answer):
            return None
        jobs = pbs_text.jobs(answer.out)
        return {id: pbs_jobs.accounting_of(id, job) for id, job in jobs.items()}

    def spare_accounting_arguments(self, ids: Sequence[str]) -> list[str] | None:
        """Where the server keeps no history, the queue knows a job until it is over."""
        return self.poll_arguments(ids)

    def parse_spare_accounting(self, answer: Answer) -> Books | None:
        return self.parse_accounting(answer)

    # Finding again

    def lookup_arguments(self, names: Sequence[str]) -> list[str]:
        """Of all jobs of the user: PBS can be asked for one name at a time only."""
        wide = ["-w"] if self.flavour == PRO else []  # else names are cut at 10 letters
        return ["qstat", *wide, "-u", self.user]

    def parse_lookup(self, answer: Answer) -> Found | None:
        if not answer.good or (answer.out and not answer.out.endswith("\n")):
            return None
        rows = pbs_text.table(answer.out)
        if answer.out.strip() and not rows and not pbs_text.HEADING.search(answer.out):
            return None
        found: dict[str, list[str]] = {}
        for id, name in rows:
            if id not in found.setdefault(name, []):
                found[name].append(id)
        return {name: sorted(ids, key=lambda id: (len(id), id)) for name, ids in found.items()}

    def history_arguments(self, names: Sequence[str]) -> list[str] | None:
        return ["qstat", "-x", "-w", "-u", self.user] if self.flavour == PRO else None

    def parse_history(self, answer: Answer) -> Found | None:
        return self.parse_lookup(answer)

    def cancel_arguments(self, ids: Sequence[str]) -> list[str]:
        return ["qdel", *ids]

    # The site

    def version_arguments(self) -> list[str]:
        return ["qstat", "--version"]

    def parse_version(self, answer: Answer) -> str:
        """Torque and Slurm's wrappers speak on the error stream, and not always with code 0."""
        said = f"{answer.out}\n{answer.err}"
        flavour = pbs_site.flavour_of(said) if answer.code is not None else ""
        number = re.search(r"\d+(\.\d+)+[\w.\-]*", said)
        return f"{flavour} {number[0][:40] if number else ''}".strip() if flavour else ""

    def limits_arguments(self) -> list[list[str]]:
        return [["qstat", "-Q", "-f"], ["pbsnodes", "-a"], ["qstat", "-B", "-f"]]

    def parse_limits(self, answers: Sequence[Answer]) -> dict[str, Any] | None:
        listed, nodes, server = answers
        queues = pbs_site.queues(listed.out) if listed.good else {}
        if not queues:
            return None
        return pbs_site.limits(queues, pbs_site.nodes(nodes.out), pbs_site.server(server.out))

    def occupancy_arguments(self) -> list[list[str]]:
        return [["pbsnodes", "-a"], ["qstat", "-B", "-f"]]

    def parse_occupancy(self, answers: Sequence[Answer]) -> dict[str, Any] | None:
        listed, server = answers
        nodes = pbs_site.nodes(listed.out) if listed.good else {}
        return pbs_site.occupancy(nodes, pbs_site.server(server.out)) if nodes else None


def _share(total: int, nodes: int) -> int:
    return max(1, math.ceil(total / nodes))


def _optional(option: str, value: str) -> list[str]:
    return [option, _plain({"-q": "queue", "-A": "account"}[option], value)] if value else []


def _plain(what: str, value: str) -> str:
    """Raises SubmissionRefused for what is no name."""
    if not PLAIN.fullmatch(value):
        raise SubmissionRefused(f"{value!r:.80} is no {what}")
    return value


def _licence(text: str) -> str:
    name, _, count = text.partition(":")
    return f"{_plain('licence', name)}={_plain('licence', count) or '1'}"


def _complaint(answer: Answer) -> str:
    """PBS's own words, without the program's name before each line; Slurm's wrappers wrap those of
    sbatch into many others.
    """
    text = answer.err if answer.err.strip() else answer.out
    lines = [re.sub(r"^qsub: ", "", line.strip()) for line in text.splitlines()]
    errors = [line.partition("error:")[2].strip() for line in lines if "error:" in line]
    return "; ".join(line for line in errors or lines if line)[:500] or answer.words


def _answers(answer: Answer) -> bool:
    """Whether an answer to a question about some jobs can be believed: it tells of one at least, or
    says of each that it is not there.
    """
    if answer.code is None or answer.problem:
        return False
    complaints = [line for line in answer.err.splitlines() if line.strip()]
    known = (UNKNOWN_ID, FINISHED, FINISHED_FIRST)
    if any(not any(pattern.search(line) for pattern in known) for line in complaints):
        return answer.code == 0 and bool(pbs_text.jobs(answer.out))
    if not answer.out.strip():
        return answer.code != 0  # nothing at all, and no complaint, is no answer
    return bool(pbs_text.jobs(answer.out)) or bool(complaints)
