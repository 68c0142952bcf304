"""Models while parts are killed: each server runs once, is found again, and starts anew when it
ends.
"""

from __future__ import annotations

import json
import os
import signal

from tests.chaos.book import until
from tests.chaos.lab import Lab
from tests.chaos.served import Calls, model


def server_killed(lab: Lab) -> None:
    with model(lab) as one:
        replica = one.start().until("ready")
        before = one.call(replica)["process"]
        os.kill(before, signal.SIGKILL)
        replica = one.until("ready", launch=2)
        assert one.call(replica)["process"] != before
        assert replica["restarts"] == 1


def agent_killed(lab: Lab) -> None:
    """The server answers meanwhile, and is the same afterwards."""
    with model(lab) as one:
        replica = one.start().until("ready")
        before = one.call(replica)["process"]
        lab.kill("agent")
        assert one.call(replica)["process"] == before
        lab.restart("agent")
        lab.heard()
        replica = one.until("ready", launch=1)
        assert one.call(replica)["process"] == before


def agent_killed_while_it_starts(lab: Lab) -> None:
    with model(lab) as one:
        (one.folder / "loading").touch()
        one.start()
        until(lambda: one.replicas() and one.replicas()[0]["state"] == "starting", one.story)
        lab.kill("agent")
        lab.restart("agent")
        (one.folder / "loading").unlink()
        assert one.until("ready")["launch"] == 1


def crashes_in_a_row(lab: Lab) -> None:
    """Given up with the reason; a restart by hand tries again."""
    with model(lab) as one:
        (one.folder / "crash").touch()
        replica = one.start().until("given_up")
        assert "it ended with exit code 1" in replica["why"]
        assert replica["launch"] == 7
        (one.folder / "crash").unlink()
        one.post(f"/{one.name}/restart")
        one.until("ready", launch=8)


def all_killed(lab: Lab) -> None:
    with model(lab) as one:
        replica = one.start().until("ready")
        before = one.call(replica)["process"]
        for name in ("web", "worker", "beat", "agent", "redis", "postgres"):
            lab.kill(name)
        assert one.call(replica)["process"] == before
        lab.tidy()
        lab.heard()
        replica = one.until("ready", launch=1)
        assert one.call(replica)["process"] == before


def stopped_agent_away(lab: Lab) -> None:
    with model(lab) as one:
        replica = one.start().until("ready")
        process = one.call(replica)["process"]
        lab.kill("agent")
        one.post(f"/{one.name}/stop", {})
        lab.restart("agent")
        until(lambda: one.state == "stopped", one.story)
        until(lambda: not _lives(process), one.story)


def removed_agent_away(lab: Lab) -> None:
    with model(lab) as one:
        replica = one.start().until("ready")
        process = one.call(replica)["process"]
        lab.kill("agent")
        one.post(f"/{one.name}", method="DELETE")
        lab.restart("agent")
        until(lambda: not _lives(process), one.story)
        until(lambda: not one.replicas(), one.story)


def server_hangs(lab: Lab) -> None:
    """It stands still: three probes, then SIGKILL, since it hears no SIGTERM."""
    with model(lab) as one:
        replica = one.start().until("ready")
        os.kill(one.call(replica)["process"], signal.SIGSTOP)
        until(lambda: one.replicas()[0]["state"] == "unhealthy", one.story)
        until(lambda: one.replicas()[0]["launch"] == 2, one.story, seconds=90)
        one.until("ready", launch=2)


def replies_lost(lab: Lab) -> None:
    with model(lab) as one:
        lab.proxy.faults.losing = True
        one.start()
        until(lambda: one.replicas(), one.story)
        lab.proxy.mend()
        assert one.until("ready")["launch"] == 1


def updated_in_traffic(lab: Lab) -> None:
    """A new version takes over while calls come and the agent is killed: none of them fails."""
    with model(lab) as one:
        one.start().until("ready")
        calls = Calls(one)
        number = one.add_version()
        one.post(f"/{one.name}/versions/{number}/deploy")
        lab.kill("agent")
        lab.restart("agent")

        def taken_over() -> bool:
            rows = one.replicas()
            return [row["version"] for row in rows] == [number] and rows[0]["state"] == "ready"

        until(taken_over, one.story, seconds=90)
        answers = calls.end()
        failed = [answer for answer in answers if answer[0] != 200]
        assert not failed, (failed[:3], len(answers), one.story())
        versions = [json.loads(body)["version"] for _, body in answers]
        assert versions == sorted(versions)
        assert set(versions) == {"1", str(number)}


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
