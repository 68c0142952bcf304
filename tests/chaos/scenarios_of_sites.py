"""The part of the table that plays at sites with a scheduler, and at those that other carriers
reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.chaos import carriers, parts, scheduling
from tests.chaos.lab import Lab
from tests.chaos.playing import Scenario

Row = tuple[str, str, str, Callable[[Lab], None]]
SUBMISSION, QUESTION = "submit to scheduler", "run to judge"

# At both kinds of fake sites; the portal has had its own rows.
SCHEDULERS: tuple[Row, ...] = (
    ("submission refused", "scheduler does not answer", SUBMISSION,
        scheduling.at_submission("time_out")),
    ("submission answered wrongly", "takes jobs, says it did not", SUBMISSION,
        scheduling.at_submission("submit_error")),
    ("submission hangs", "takes jobs, answers after the time-out", SUBMISSION,
        scheduling.at_submission("submit_hang", times=1, seconds=7)),
    ("submission hangs before", "answers after the time-out", SUBMISSION,
        scheduling.at_submission("hang", times=1, seconds=7)),
    ("submission garbled", "answers with bytes that are no text", SUBMISSION,
        scheduling.at_submission("garbage")),
    ("submission empty", "answers with nothing", SUBMISSION,
        scheduling.at_submission("empty")),
    ("killed in submission", "kill -9 of agent", SUBMISSION,
        scheduling.agent_killed_in_submission),
    ("killed while jobs wait", "kill -9 of agent, jobs start late", "pending",
        scheduling.of_waiting_job),
    ("cancel, scheduler hangs", "cancel while the scheduler hangs", "pending",
        scheduling.cancelled_while_it_waits),
    ("questions hang", "answers after the time-out", QUESTION,
        scheduling.at_question("hang", times=2, seconds=7)),
    ("jobs forgotten", "answers without the jobs", QUESTION,
        scheduling.at_question("forget", share=1)),
    ("answers halved", "answers with half of the lines", QUESTION,
        scheduling.at_question("partial")),
    ("answers cut", "answers cut in a line", QUESTION, scheduling.at_question("cut")),
    ("answers garbled", "answers with bytes that are no text", QUESTION,
        scheduling.at_question("garbage")),
    ("answers empty", "answers with nothing", QUESTION, scheduling.at_question("empty")),
    ("another locale", "answers in German", QUESTION, scheduling.at_question("locale")),
    ("unknown states", "states that nobody knows", QUESTION,
        scheduling.at_question("strange_state")),
    ("scheduler silent", "does not answer", QUESTION, scheduling.at_question("time_out", times=6)),
    ("away at the end", "kill -9 of agent", QUESTION, scheduling.agent_away_when_it_ends),
    ("still at the end", "SIGSTOP of agent", QUESTION, scheduling.agent_still_when_it_ends),
    ("node fails", "the node of a job fails", "run", scheduling.of_job("node_fail", after_s=0.5)),
    ("preempted", "another job takes the place", "run", scheduling.of_job("preempt", after_s=0.5)),
    ("out of memory", "killed for its memory", "run",
        scheduling.of_job("oom", state="failed", most=1, after_s=0.5)),
    ("walltime over", "killed for its walltime", "run",
        scheduling.of_job("timeout", state="failed", most=1, after_s=0.5)),
    ("put back", "put back and started again", "run", scheduling.of_job("requeue", after_s=0.5)),
    ("job lost", "killed, and nobody has heard of it", "run",
        scheduling.of_job("lose", after_s=0.5)),
    ("out of sight", "goes on, and nobody has heard of it", "run",
        scheduling.of_job("lose_sight", after_s=0.5)),
    ("all at once", "all programs wrong now and then, 10 runs", "all",
        scheduling.everything_at_once),
    ("kill agent at prepare", "kill -9 of agent", "prepare", parts.killed("agent", "prepare")),
    ("kill agent at judge", "kill -9 of agent", "judge", parts.killed("agent", "judge")),
    ("kill agent at report", "kill -9 of agent", "report", parts.killed("agent", "report")),
    ("kill PostgreSQL at run", "kill of PostgreSQL", "run", parts.killed("postgres", "run")),
)  # fmt: skip
SHORT_SCHEDULERS = {
    "fake-slurm": {
        "submission answered wrongly", "killed in submission", "jobs forgotten", "another locale",
        "node fails", "answers cut", "put back",
        "killed while jobs wait",
    },
    "fake-pbs": {
        "submission garbled", "answers halved", "preempted", "job lost", "away at the end",
        "unknown states",
    },
}  # fmt: skip

SLURM: tuple[Row, ...] = (
    ("kill slurmctld", "kill -9 of slurmctld", "run to judge", scheduling.controller_killed),
    ("kill slurmd", "kill -9 of each slurmd", "run", scheduling.node_killed),
    ("node down", "a node is said to be down", "run", scheduling.node_taken_away),
    ("kill agent", "kill -9 of agent", "submit to judge", scheduling.slurm_agent_killed),
    ("stop slurmdbd", "SIGSTOP of slurmdbd", "run to judge", scheduling.books_away),
)

SSH: tuple[Row, ...] = (
    ("connections cut", "every SSH connection cut, three times", "all", carriers.connection_cut),
    ("cut at upload", "SSH connection cut", "upload", carriers.connection_cut_at_upload),
    ("host away", "sshd is gone for a while", "run to report", carriers.host_away),
    ("kill remote agent", "kill -9 of agent", "run", carriers.remote_agent_killed),
    ("kill carriers", "kill -9 of the worker of carriers", "all", carriers.carriers_killed),
    ("stop carriers", "SIGSTOP of the worker of carriers", "report", carriers.carriers_still),
)

QUEUE: tuple[Row, ...] = (
    ("kill node", "kill -9 of the node", "run, judge", carriers.node_killed),
    ("stop node", "SIGSTOP of the node", "run to report", carriers.node_still),
    ("two nodes", "two nodes with one key", "all", carriers.node_twice),
    ("broker lost", "kill -9 of the broker, its data lost", "all", carriers.broker_lost),
    ("stop broker", "SIGSTOP of the broker", "report", carriers.broker_still),
    (
        "kill the answering",
        "kill -9 of worker and carriers",
        "all",
        carriers.portal_of_queue_killed,
    ),
)

SHORT = {
    **SHORT_SCHEDULERS,
    "slurm": {"kill slurmctld"},
    "ssh": {"connections cut"},
    "queue": {"kill node", "broker lost"},
}


def _scenarios() -> Iterator[Scenario]:
    kinds = {
        "fake-slurm": SCHEDULERS,
        "fake-pbs": SCHEDULERS,
        "slurm": SLURM,
        "ssh": SSH,
        "queue": QUEUE,
    }
    for site, rows in kinds.items():
        for name, breaks, stage, play in rows:
            yield Scenario(name, breaks, stage, play, site=site, short=name in SHORT[site])


OF_SITES = tuple(_scenarios())
