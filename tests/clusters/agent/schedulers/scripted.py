"""A Slurm that answers by a script, with a clock that the test turns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from clusters.agent.commands import Answer
from clusters.agent.schedulers.base import Job, Standing
from clusters.agent.schedulers.batch import BatchScheduler
from clusters.agent.schedulers.options import Options
from clusters.agent.schedulers.slurm import Slurm

US = "\x1f"
SILENT = Answer(1, "", "slurm_load_jobs error: Unable to contact slurm controller", "", 0.1)
HUNG = Answer(None, "", "", "gave no answer within 30 s", 30.0)


class Site:
    """Slurm by script: jobs with their states; each program may be told to answer otherwise."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.calls: list[list[str]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.books: dict[str, str] = {}  # state by id
        self.instead: dict[str, Answer] = {}
        self.numbers = itertools.count(1)
        self.keeps_books = True
        self.elapsed, self.began = "9", "2"
        self.folder = folder
        self.scheduler = self.agent()

    def agent(self, **options: Any) -> BatchScheduler:
        """Another process of the agent, which remembers nothing."""
        dialect = Slurm(Options(poll_s=10, missing_s=60, patience_s=60, misses=3, **options))
        return BatchScheduler(
            dialect, self.folder / "spool", call=self.call, clock=lambda: self.now,
            wall=lambda: 5000.0 + self.now,
        )  # fmt: skip

    def call(self, arguments: Sequence[str], **_: Any) -> Answer:
        self.calls.append(list(arguments))
        program = arguments[0]
        found = self.instead.get(program)
        if program == "sbatch" and (found is None or found is HUNG):
            id = self._take(arguments)
            return found or Answer(0, f"{id}\n", "", "", 0.1)
        if found is not None:
            return found
        return getattr(self, f"_{program}", lambda _: Answer(0, "", "", "", 0.1))(arguments)

    def _take(self, arguments: Sequence[str]) -> str:
        options = dict(a.split("=", 1) for a in arguments if a.startswith("--") and "=" in a)
        id, name = str(next(self.numbers)), options["--job-name"]
        ids = [id]
        if "--array" in options:
            ids = [f"{id}_{n}" for n in range(int(options["--array"].split("-")[1]) + 1)]
        self.jobs.update({one: {"state": "PENDING", "name": name} for one in ids})
        return id

    def _squeue(self, arguments: Sequence[str]) -> Answer:
        names = next((a[7:].split(",") for a in arguments if a.startswith("--name=")), None)
        lines = []
        for id, job in self.jobs.items():
            if names is None:
                fields = [id, job["state"], job.get("reason", "None"), "N/A", "N/A", "debug"]
                lines.append(US.join([*fields, "node1", "N/A", job["name"]]))
            elif job["name"] in names:
                lines.append(US.join([id.partition("_")[0], job["name"]]))
        return Answer(0, "".join(line + "\n" for line in lines), "", "", 0.1)

    def _sacct(self, arguments: Sequence[str]) -> Answer:
        if not self.keeps_books:
            return Answer(1, "", "Slurm accounting storage is disabled", "", 0.1)
        if any(a.startswith("--name=") for a in arguments):
            return Answer(0, "", "", "", 0.1)
        rows = [
            US.join(
                [id, "", state, "0:0", self.elapsed, "00:08.000", "", "node1", "1", self.began, "3"]
            )
            + "\n"
            for id, state in self.books.items()
        ]
        return Answer(0, "".join(rows), "", "", 0.1)

    def _sinfo(self, arguments: Sequence[str]) -> Answer:
        if "--exact" in arguments:
            line = US.join(["debug*", "up", "1:00:00", "1-8", "4", "4000", "(null)"])
        else:
            line = (
                "slurm 22.05.8" if "--version" in arguments else US.join(["n1", "idle", "0/4/0/4"])
            )
        return Answer(0, f"{line}\n", "", "", 0.1)

    def _scancel(self, arguments: Sequence[str]) -> Answer:
        for id in arguments[2:]:
            if id in self.jobs:
                self.jobs[id]["state"] = self.books[id] = "CANCELLED"
        return Answer(0, "", "", "", 0.1)

    def count(self, program: str) -> int:
        return sum(arguments[0] == program for arguments in self.calls)

    def pass_s(self, seconds: float) -> None:
        """Let time pass, with the polls that fall into it."""
        for _ in range(round(seconds)):
            self.now += 1
            self.scheduler.poll()


MakeJob = Callable[..., Job]


def begin(job: Job) -> None:
    (job.control / "started").write_text("boot 1 (sh) R\n")


def end(job: Job, code: int = 0) -> None:
    begin(job)
    (job.control / "times").write_text("0m1.500s 0m0.500s\n0m0s 0m0s\n")
    (job.control / "exit").write_text(f"exit {code}\n")


def started(site: Site, job: Job) -> Callable[[], Standing]:
    site.scheduler.start(job)
    return lambda: site.scheduler.find(job)
