"""The command `exchange`: one session with a portal that has signed in by SSH.

Standard output belongs to the frames alone; whatever else prints goes to standard error.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import BinaryIO

from clusters.agent import __version__, config, logs
from clusters.agent.agent import Agent, lock
from clusters.agent.client import Refused, Unreachable
from clusters.agent.config import Config
from clusters.agent.discovery import remembered
from clusters.agent.protocol import PROTOCOL
from clusters.agent.session import Session, SpoolCarriage
from clusters.agent.sitting import Sitting, Terms
from clusters.agent.spool import Spool, digest_of

ANSWER_S = 60.0
LOCK_S = 10.0  # so long may the session before this one take to end
FAILED, HELD = 1, 75
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def pay(path: Path) -> int:
    """Speak with the portal until there is no more to say; return the exit code."""
    source, target = _pipes()
    settings = config.load(path)
    held = _lock(settings)
    visit = _Visit()
    session = Session(source, target, visit.told)
    if held is None:
        session.say("bye", why="held")
        return HELD
    spool = Spool(settings.work)
    spool.open()
    try:
        terms = session.call("hello", wait_s=ANSWER_S, **_about(path, spool))
    except (Unreachable, Refused) as error:
        print(f"labportal-agent: {error}", file=sys.stderr)
        return FAILED
    if not terms.get("go"):
        return 0
    spool.tidy(time.time())
    return visit.sit(settings, spool, session, terms)


class _Visit:
    """Passes on what the portal says unasked, which it may before the agent is built."""

    def __init__(self) -> None:
        self.sitting: Sitting | None = None
        self._early: list[str] = []

    def told(self, word: str) -> None:
        self._early.append(word)
        if self.sitting is not None:
            self.sitting.told(word)

    def sit(
        self, settings: Config, spool: Spool, session: Session, terms: dict[str, object]
    ) -> int:
        own_log = logs.set_up(settings.work, settings.log_level, console=False)
        agent = Agent(
            settings,
            own_log=own_log,
            open_carriage=partial(SpoolCarriage, session, spool),
            look=partial(remembered, settings),
        )
        sitting = self.sitting = Sitting(agent, _terms(terms))
        for word in self._early:
            sitting.told(word)
        for number in SIGNALS:
            signal.signal(number, lambda *_: sitting.told("end"))
        agent.run_session(sitting)
        session.say("bye", why=sitting.why, more=sitting.more)
        return 0 if agent.exchanger.answered else FAILED


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return standard input and output for frames; from now on prints go to standard error."""
    target = os.fdopen(os.dup(1), "wb")
    source = os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return source, target


def _lock(settings: Config) -> int | None:
    deadline = time.monotonic() + LOCK_S
    while (held := lock(settings)) is None and time.monotonic() < deadline:
        time.sleep(0.2)
    return held


def _about(path: Path, spool: Spool) -> dict[str, object]:
    program = Path(sys.argv[0])
    return {
        "protocol": PROTOCOL,
        "version": __version__,
        "python": platform.python_version(),
        "spool": str(spool.folder),
        "agent_sha256": digest_of(program) if program.suffix == ".pyz" else "",
        "settings_sha256": digest_of(path),
    }


def _terms(told: dict[str, object]) -> Terms:
    usual = Terms()
    length, linger = told.get("length_s"), told.get("linger_s")
    return Terms(
        length_s=float(length) if isinstance(length, (int, float)) else usual.length_s,
        linger_s=float(linger) if isinstance(linger, (int, float)) else usual.linger_s,
    )
