"""Ends the models that the demo's agent has started: they outlive the agent, but not the demo."""

import time
from pathlib import Path

from clusters.agent import config
from clusters.agent.runtimes.choice import runtimes_for

END_SECONDS = 2.5


def end(home: Path) -> None:
    """Ask all to end, wait END_SECONDS at most, then end them; the agent must not run any more."""
    try:
        settings = config.load(home / "agent.ini")
    except config.BadConfig:
        return  # there was no demo yet
    for runtime in runtimes_for(settings).values():
        handles = runtime.strays(())
        for handle in handles:
            runtime.signal(handle)
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline:
            if not any(status.alive for status in runtime.status(handles).values()):
                break
            time.sleep(0.05)
        for handle in handles:
            runtime.signal(handle, kill=True)
