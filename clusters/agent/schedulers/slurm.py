"""Slurm's language: sbatch, squeue, sacct, scontrol, scancel, sinfo, sacctmgr, of 22.05 and later.

Fields are set apart by a character that no name holds; times come in seconds since 1970. Lines that
are cut or have another number of fields are passed over, never guessed at.
"""

from __future__ import annotations

import getpass
import math
import re
from collections.abc import Sequence
from typing import Any

from calculations.software.base import Resources
from clusters.agent.commands import Answer
from clusters.agent.schedulers.base import Ending, SubmissionRefused, TryLater
from clusters.agent.schedulers.dialect import (
    Books,
    Dialect,
    Found,
    PollAnswer,
    Submission,
    Unclear,
)
from clusters.agent.schedulers.slurm_text import (
    MARK,
    add_partition,
    booked,
    complaint,
    ids_by_name,
    kind_of_node,
    knows_none,
    queued,
    rows,
    shown,
)
from clusters.agent.schedulers.slurm_words import (
    MEMORY_WORDS,
    NO_CONTACT,
    NOT_NOW,
    TIME_WORDS,
)

QUEUE = MARK.join(["%i", "%T", "%r", "%S", "%e", "%P", "%N", "%V", "%j"])
LOOKUP = MARK.join(["%F", "%j"])
BOOKS = "JobID,JobName,State,ExitCode,ElapsedRaw,TotalCPU,MaxRSS,NodeList,Submit,Start,End"
PARTITIONS = MARK.join(["%P", "%a", "%l", "%s", "%c", "%m", "%G"])
NODES = MARK.join(["%N", "%T", "%C"])
REMEMBERED = "now-14days"  # how far back the books are searched by name
SUBMITTED_ID = re.compile(r"^(\d+)(?:;\S*)?\s*$")
PLAIN = re.compile(r"[\w.,:@+=/\-]*", re.ASCII)  # names of partitions, accounts, licences


class Slurm(Dialect):
    kind = "slurm"
    array_variable = "SLURM_ARRAY_TASK_ID"
    launcher = "srun"
    environment = {"SLURM_TIME_FORMAT": "%s"}
    # The clean environment is for the job, not for what srun starts in it; srun of 22.05 and later
    # takes the cores of a task from a variable of its own.
    prelude = (
        "unset SLURM_EXPORT_ENV",
        'export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"',
    )

    # Submitting

    def submit_arguments(self, submission: Submission) -> list[str]:
        job, asked = submission.job, submission.job.resources
        output = str(submission.output).replace("%", "%%")
        return [
            "sbatch",
            "--parsable",
            "--export=NIL",
            "--no-requeue",
            f"--job-name={submission.name}",
            f"--comment={submission.comment}",
            f"--chdir={job.folder}",
            f"--output={output}.%a" if submission.is_array else f"--output={output}",
            "--open-mode=append",
            *_resource_arguments(asked),
            *_optional("partition", asked.partition or self.options.partition),
            *_optional("account", asked.account or self.options.account),
            *_optional("qos", asked.qos or self.options.qos),
            *([f"--array=0-{len(submission.jobs) - 1}"] if submission.is_array else []),
            *self.options.extra,
            str(submission.script),
        ]

    def parse_submit(self, answer: Answer) -> str:
        for line in reversed(answer.out.splitlines()):
            found = SUBMITTED_ID.match(line.strip())
            if found and answer.code in (0, None):
                return found[1]
        words = complaint(answer)
        if answer.code is None and not answer.seconds:
            raise TryLater(words)  # it was never started: sbatch is absent
        if answer.code in (0, None) or answer.problem or NO_CONTACT.search(words):
            raise Unclear(words)
        if NOT_NOW.search(words):
            raise TryLater(words)
        if "error:" not in answer.err and "fatal:" not in answer.err:
            raise Unclear(words)
        raise SubmissionRefused(words)

    def task_id(self, array: str, index: int) -> str:
        return f"{array}_{index}"

    # Watching

    def poll_arguments(self, ids: Sequence[str]) -> list[str]:
        """An id is named twice where it is the only one: squeue calls a single one that has left
        the queue an error.
        """
        whole = sorted({id.partition("_")[0] for id in ids}, key=lambda id: (len(id), id))
        named = ",".join(whole if len(whole) > 1 else whole * 2)
        return ["squeue", "--noheader", "--array", "--states=all", f"--jobs={named}", "-o", QUEUE]

    def parse_poll(self, answer: Answer) -> PollAnswer | None:
        if not answer.good and not knows_none(answer):
            return None
        return {fields[0]: queued(fields) for fields in rows(answer.out, 9)}

    def accounting_arguments(self, ids: Sequence[str]) -> list[str]:
        whole = sorted({id.partition("_")[0] for id in ids}, key=lambda id: (len(id), id))
        named = ",".join(whole)
        return ["sacct", "-nP", f"--delimiter={MARK}", f"--jobs={named}", f"--format={BOOKS}"]

    def parse_accounting(self, answer: Answer) -> Books | None:
        if not answer.good:
            return None
        jobs: dict[str, list[str]] = {}
        steps: dict[str, list[list[str]]] = {}
        for fields in rows(answer.out, 11):
            id, dot, _ = fields[0].partition(".")
            if dot:
                steps.setdefault(id, []).append(fields)
            else:
                jobs[id] = fields
        return {id: booked(fields, steps.get(id, ())) for id, fields in jobs.items()}

    def spare_accounting_arguments(self, ids: Sequence[str]) -> list[str] | None:
        """Where the site keeps no books: the controller remembers jobs for some minutes. It tells
        of one job or of all.
        """
        whole = {id.partition("_")[0] for id in ids}
        return ["scontrol", "show", "job", "-o", *(whole if len(whole) == 1 else ())]

    def parse_spare_accounting(self, answer: Answer) -> Books | None:
        if not answer.good:
            return {} if knows_none(answer) else None
        return dict(filter(None, map(shown, answer.out.splitlines())))

    # Finding again

    def lookup_arguments(self, names: Sequence[str]) -> list[str]:
        named = ",".join(names)
        return ["squeue", "--noheader", "--states=all", f"--name={named}", "-o", LOOKUP]

    def parse_lookup(self, answer: Answer) -> Found | None:
        return ids_by_name(rows(answer.out, 2)) if answer.good else None

    def history_arguments(self, names: Sequence[str]) -> list[str] | None:
        named = ",".join(names)
        search = [f"--name={named}", "-S", REMEMBERED, "--format=JobID,JobName"]
        return ["sacct", "-nPX", f"--delimiter={MARK}", *search]

    def parse_history(self, answer: Answer) -> Found | None:
        if not answer.good:
            return None
        found = rows(answer.out, 2)
        return ids_by_name([id.partition("_")[0], name] for id, name in found)

    def ending_in(self, printed: str) -> Ending:
        """Sites without control groups kill for memory, and then book a launch that failed."""
        if MEMORY_WORDS.search(printed):
            return Ending.OUT_OF_MEMORY
        return Ending.TIMEOUT if TIME_WORDS.search(printed) else Ending.NORMAL

    def cancel_arguments(self, ids: Sequence[str]) -> list[str]:
        return ["scancel", "--quiet", *ids]

    # The site

    def version_arguments(self) -> list[str]:
        return ["sinfo", "--version"]

    def parse_version(self, answer: Answer) -> str:
        found = re.search(r"\d+\.\d+[\w.\-]*", answer.out)
        return found[0][:40] if found else ""

    def limits_arguments(self) -> list[list[str]]:
        user = f"user={getpass.getuser()}"
        wanted = "format=Account,QOS,DefaultQOS"
        return [
            ["sinfo", "--noheader", "--exact", "-o", PARTITIONS],
            ["sacctmgr", "-nP", "show", "associations", "where", user, wanted],
        ]

    def parse_limits(self, answers: Sequence[Answer]) -> dict[str, Any] | None:
        nodes, people = answers
        if not nodes.good:
            return None
        partitions: dict[str, dict[str, Any]] = {}
        for fields in rows(nodes.out, 7):
            add_partition(partitions, fields)
        accounts, qos = set(), set()
        for account, some, default in rows(people.out, 3, "|") if people.good else ():
            accounts.add(account)
            qos |= {name for name in (*some.split(","), default) if name}
        return {
            "partitions": list(partitions.values()),
            "accounts": sorted(accounts),
            "qos": sorted(qos),
        }

    def occupancy_arguments(self) -> list[list[str]]:
        return [["sinfo", "--noheader", "-N", "-o", NODES], ["sdiag"]]

    def parse_occupancy(self, answers: Sequence[Answer]) -> dict[str, Any] | None:
        listed, counted = answers
        if not listed.good:
            return None
        nodes = dict.fromkeys(("idle", "allocated", "mixed", "down"), 0)
        cores = dict.fromkeys(("idle", "allocated", "total"), 0)
        for _, state, share in {fields[0]: fields for fields in rows(listed.out, 3)}.values():
            nodes[kind_of_node(state)] += 1
            parts = [int(part) for part in share.split("/") if part.isdigit()]
            if len(parts) == 4:
                cores["allocated"] += parts[0]
                cores["idle"] += parts[1]
                cores["total"] += parts[3]
        jobs = {
            name: int(found[1])
            for name in ("running", "pending")
            if (found := re.search(rf"^Jobs {name}:\s*(\d+)", counted.out, re.MULTILINE))
        }
        return {"nodes": nodes, "cores": cores, "jobs": jobs}


def _resource_arguments(asked: Resources) -> list[str]:
    """Totals over all nodes become what Slurm wants for each node and each task."""
    nodes, tasks = max(1, asked.nodes), max(1, asked.tasks)
    gpus = math.ceil(asked.gpus / nodes)
    kind = f"{asked.gpu_type}:" if asked.gpu_type else ""
    return [
        f"--nodes={nodes}",
        f"--ntasks={tasks}",
        f"--cpus-per-task={max(1, math.ceil(asked.cores / tasks))}",
        f"--mem={max(1, math.ceil(asked.memory_mib / nodes))}M",
        f"--time={max(1, math.ceil(asked.walltime_s / 60))}",
        *(_optional("gres", f"gpu:{kind}{gpus}") if gpus else []),
        *_optional("licenses", ",".join(asked.licences)),
        *(["--exclusive"] if asked.exclusive else []),
    ]


def _optional(name: str, value: str) -> list[str]:
    """Raises SubmissionRefused for what is no name."""
    if not PLAIN.fullmatch(value):
        raise SubmissionRefused(f"{value!r:.80} is no {name}")
    return [f"--{name}={value}"] if value else []
