"""The table of what is broken, at which stage of a run, at which site.

Short ones are played by `make test`, all of them by `make chaos`.
"""

from __future__ import annotations

from tests.chaos import away, leftovers, machines, network, parts, serving
from tests.chaos.playing import BRIEF, Scenario
from tests.chaos.scenarios_of_sites import OF_SITES
from tests.chaos.stages import STAGES

# Killed and restarted, and standing still, at each stage.
SHORT_KILLS = {
    *(("agent", "run"), ("agent", "upload"), ("agent", "close"), ("agent", "prepare")),
    *(("worker", "submit"), ("web", "report"), ("web", "close"), ("postgres", "judge")),
    *(("redis", "placed"), ("beat", "submit")),
}
KILLS = [
    *((part, stage) for stage in STAGES for part in ("agent", "worker", "web")),
    *(("beat", stage) for stage in ("submit", "run", "report")),
    *(("postgres", stage) for stage in STAGES),
    *(("redis", stage) for stage in ("submit", "placed", "run", "upload", "close")),
]
STILL = [
    *(("agent", stage) for stage in ("prepare", "run", "judge", "upload", "close")),
    *(("worker", stage) for stage in ("placed", "run", "report")),
    *(("web", stage) for stage in ("run", "judge", "upload", "close")),
    *(("beat", stage) for stage in ("submit", "run")),
    *(("postgres", stage) for stage in ("submit", "run", "judge", "close")),
    *(("redis", stage) for stage in ("placed", "run", "close")),
]
SHORT_STILL = {("agent", "judge"), ("web", "close"), ("postgres", "run"), ("redis", "run")}

WHERE = "between agent and portal"

OF_PORTAL: tuple[Scenario, ...] = (
    *(
        Scenario(
            f"kill {part} at {stage}",
            f"kill -9 of {part}",
            stage,
            parts.killed(part, stage),
            short=(part, stage) in SHORT_KILLS,
        )
        for part, stage in KILLS
    ),
    *(
        Scenario(
            f"stop {part} at {stage}",
            f"SIGSTOP, SIGCONT of {part}",
            stage,
            parts.still(part, stage),
            short=(part, stage) in SHORT_STILL,
        )
        for part, stage in STILL
    ),
    Scenario("kill all", "kill -9 of web, worker, beat, agent", "run, judge", parts.all_killed),
    Scenario(
        "kill all and servers",
        "kill -9 of all, PostgreSQL and Redis too",
        "prepare, run",
        parts.all_and_servers_killed,
        short=True,
    ),
    Scenario(
        "kill in turns",
        "kill -9 of agent, worker, web in turns, 24 runs",
        "all",
        parts.killed_again_and_again,
        short=True,
    ),
    Scenario(
        "portal still, run ends", "SIGSTOP of web", "prepare, report", parts.portal_still_and_ends
    ),
    Scenario(
        "agent still, runs end", "SIGSTOP of agent", "run to judge", parts.agent_still_and_ends
    ),
    Scenario("no worker", "no worker for a while", "submit", parts.no_worker),
    Scenario(
        "cancel, agent away", "cancel after kill -9 of agent", "run", parts.cancelled_agent_away
    ),
    Scenario(
        "cancel unheard",
        "cancel while replies get lost",
        "placed",
        parts.cancelled_unheard,
        short=True,
    ),
    Scenario("cancel, agent still", "cancel during SIGSTOP", "placed", parts.cancelled_agent_still),
    Scenario(
        "cancel too late",
        "cancel after the end, unreported",
        "report",
        parts.cancelled_too_late,
        short=True,
    ),
    Scenario("Redis away", "no Redis for a while", "run, judge, submit", parts.redis_away),
    Scenario(
        "Redis emptied",
        "kill -9 of Redis, its data lost",
        "prepare, submit",
        parts.redis_emptied,
        short=True,
    ),
    Scenario("task lost", "the placement's task is lost", "submit", parts.task_lost),
    Scenario(
        "kill PostgreSQL, four stages",
        "kill of PostgreSQL",
        "prepare, run, judge, placed",
        parts.postgres_killed_everywhere,
    ),
    Scenario(
        "kill PostgreSQL in traffic",
        "kill of PostgreSQL, twice, 16 runs",
        "submit to report",
        parts.postgres_killed_again,
        short=True,
    ),
    Scenario("replies lost", "replies lost", WHERE, network.replies_lost),
    Scenario(
        "every second reply lost",
        "replies lost",
        WHERE,
        network.every_second_reply_lost,
        short=True,
    ),
    Scenario("replies late", "replies 0.5 s late", WHERE, network.replies_late),
    Scenario("replies very late", "replies 4 s late", WHERE, network.replies_late_by_minutes),
    Scenario("requests twice", "requests at once twice", WHERE, network.requests_twice, short=True),
    Scenario(
        "requests again later",
        "requests again after 3 newer ones",
        WHERE,
        network.requests_again_later,
        short=True,
    ),
    Scenario(
        "requests overtake",
        "requests in another order",
        WHERE,
        network.requests_overtake,
        short=True,
    ),
    Scenario("requests cut", "requests truncated", WHERE, network.requests_cut, short=True),
    Scenario("replies cut", "replies truncated", WHERE, network.replies_cut, short=True),
    Scenario("connections break", "connections cut", WHERE, network.connections_break),
    Scenario("file cut", "connection cut, twice", "upload", network.file_cut, short=True),
    Scenario(
        "late by minutes",
        "exchanges later than the lease lasts",
        "run to report",
        network.late_by_minutes,
        lab=BRIEF,
    ),
    Scenario(
        "retry, requests twice",
        "requests twice, automatic retries",
        WHERE,
        network.retried_requests_twice,
        short=True,
    ),
    Scenario(
        "retry, replies lost", "replies lost, retries", "report", network.retried_replies_lost
    ),
    Scenario("retry in vain", "a program that never converges", "judge", network.retried_in_vain),
    Scenario(
        "away beyond leases",
        "one agent killed, one still, leases end",
        "run",
        away.killed_and_still,
        short=True,
        lab=BRIEF,
    ),
    Scenario(
        "late result adopted",
        "agent still, cancelled, its result comes late",
        "run to report",
        away.late_result_adopted,
        short=True,
        lab=BRIEF,
    ),
    Scenario(
        "lost too often", "lost until given up", "run to report", away.lost_too_often, lab=BRIEF
    ),
    Scenario(
        "old words arrive",
        "exchanges of an ended lease arrive",
        "run",
        away.stale_agent_speaks_late,
        lab=BRIEF,
    ),
    Scenario("disk lost", "work folder gone, agent anew", "run", away.disk_lost, lab=BRIEF),
    Scenario(
        "clock ahead in run",
        "agent's clock jumps 3 h ahead",
        "run",
        machines.clock_jumps(10_800, "run"),
        short=True,
    ),
    Scenario(
        "clock back in run",
        "agent's clock jumps 3 h back",
        "run",
        machines.clock_jumps(-10_800, "run"),
    ),
    Scenario(
        "clock ahead in prepare",
        "agent's clock jumps 1 d ahead",
        "prepare",
        machines.clock_jumps(86_400, "prepare"),
    ),
    Scenario(
        "clock of another year",
        "agent's clock 400 d back, put right",
        "run",
        machines.clock_of_another_year,
    ),
    *(
        Scenario(
            f"disk full at {stage}",
            "work folder's disk full",
            stage,
            machines.disk_full(stage),
            site="small disk",
            short=stage == "run",
        )
        for stage in ("placed", "prepare", "run", "judge")
    ),
    Scenario("two workers", "two workers, one killed", "submit", machines.two_workers, short=True),
    Scenario("two beats", "beat twice", "submit to report", machines.two_beats),
    Scenario(
        "same folder twice", "agent started twice", "run", machines.same_folder_twice, short=True
    ),
    Scenario("one key twice", "two agents with one key", "run", machines.one_key_twice, short=True),
    Scenario("folder copied", "two agents with one folder's copies", "run", machines.folder_copied),
    Scenario(
        "agent file changes",
        "another version put in its place",
        "prepare to report",
        machines.agent_file_changes,
        short=True,
    ),
    Scenario(
        "journal set back",
        "agent's journal forgets a run",
        "run",
        machines.journal_damaged,
        short=True,
    ),
    *(
        Scenario(
            f"purge, kill {part}",
            f"kill -9 of {part}",
            "after the end: purge",
            leftovers.purge_and_kill(part),
            short=part == "agent",
        )
        for part in ("agent", "worker", "web")
    ),
    Scenario(
        "export, kill worker",
        "kill -9 of worker",
        "after the end: export",
        leftovers.export_and_kill,
        short=True,
    ),
)

# At a site that serves models; each row is (name, what is broken, when, play, short).
OF_MODELS = tuple(
    Scenario(name, breaks, stage, play, site="models", short=short)
    for name, breaks, stage, play, short in (
        ("kill server", "kill -9 of a server", "ready", serving.server_killed, True),
        ("kill agent of models", "kill -9 of agent", "ready", serving.agent_killed, True),
        (
            "kill agent, server starts",
            "kill -9 of agent",
            "starting",
            serving.agent_killed_while_it_starts,
            False,
        ),
        ("server crashes", "crash loop", "starting", serving.crashes_in_a_row, True),
        ("kill all of models", "kill -9 of all", "ready", serving.all_killed, False),
        ("stop, agent away", "kill -9 of agent", "ready", serving.stopped_agent_away, False),
        ("remove, agent away", "kill -9 of agent", "ready", serving.removed_agent_away, False),
        ("server hangs", "SIGSTOP of a server", "ready", serving.server_hangs, False),
        ("start, replies lost", "replies lost", "starting", serving.replies_lost, False),
        (
            "update in traffic",
            "kill -9 of agent",
            "new version",
            serving.updated_in_traffic,
            True,
        ),
    )
)

SCENARIOS = (*OF_PORTAL, *OF_SITES, *OF_MODELS)
