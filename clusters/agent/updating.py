"""The agent changes itself to the version that the portal wants: fetch, verify, try, replace.

The new file is started in place of this process, which keeps its number, its lock and its programs.
Until it has heard from the portal it is on trial, and a guard of the old version watches over it
(guarding.py). Called by the loop's thread; what takes long runs in a worker.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clusters.agent import __version__, procfs
from clusters.agent.carriage import BringsAgent, OpenCarriage
from clusters.agent.loop import EventLoop
from clusters.agent.workers import Workers

log = logging.getLogger(__name__)

MARKER = "update.json"  # in the work folder, while a version is on trial or after it failed
LOCK_VARIABLE = "LABPORTAL_AGENT_LOCK"
LARGEST_FILE = 64 * 1024 * 1024
TRY_S = 60.0
QUIET_S, REAP_S = 0.2, 5.0
PATIENCE_S = 30.0  # so long what is under way may take before it is broken off
SHA256 = re.compile(r"[0-9a-f]{64}")
VERSION = re.compile(r"\d+(\.\d+)*")


class CannotUpdate(Exception):
    """Why the agent stays what it is; for the portal and its log."""


class Updater:
    def __init__(
        self,
        work: Path,
        *,
        loop: EventLoop,
        workers: Workers,
        open_carriage: OpenCarriage,
        program: Path | None = None,
    ) -> None:
        self.marker = work / MARKER
        self.loop = loop
        self.workers = workers
        self.open_carriage = open_carriage
        self.program = program or Path(sys.argv[0]).absolute()
        self.fetched: Path | None = None  # what is to take this process's place
        self._sha256 = _sha256(self.program) if self.program.suffix == ".pyz" else ""
        self._active: Callable[[], int] | None = None  # how much is under way, once it stays
        self._leave: Callable[[], None] | None = None
        self._children: list[int] = []
        self._wish: Mapping[str, str] = {}
        self._asked: str | None = None
        self._told: dict[str, str] = {}  # what became of the last wish; no problem: it is tried
        self._on_trial = False
        self._read_marker()

    def begin(self, *, active: Callable[[], int], leave: Callable[[], None]) -> None:
        """This process stays, and can so be replaced: `leave` ends its loop."""
        self._active, self._leave = active, leave
        self.loop.every(REAP_S, self._reap)

    def forget(self) -> None:
        """Somebody ends this agent: nothing is to take its place."""
        self.confirm()
        self.fetched = self._leave = None

    def capacity(self) -> dict[str, Any]:
        """The part of the exchange's capacity that says which file this is, and what failed."""
        told: dict[str, Any] = {"file_sha256": self._sha256} if self._sha256 else {}
        return {**told, "update": self._told} if self._told else told

    def heard(self, update: Any) -> None:
        """Take in what a reply says; each wish, by its `asked`, is tried once."""
        self.confirm()
        if not isinstance(update, Mapping):
            return
        wish = {name: str(update.get(name) or "")[:100] for name in ("version", "sha256", "asked")}
        if wish["asked"] == self._asked or wish["sha256"] == self._sha256:
            return
        self._asked = wish["asked"]
        self._told = {"version": wish["version"], "asked": wish["asked"], "problem": ""}
        try:
            self._check(wish, may_go_back=update.get("may_go_back") is True)
        except CannotUpdate as refusal:
            self._failed(wish, str(refusal))
            return
        log.info("fetching version %s of the agent", wish["version"])
        self.workers.submit(lambda: self._fetch(wish), lambda *answer: self._got(wish, *answer))

    def confirm(self) -> None:
        """The portal answered, or somebody ends this agent in order: the trial is passed."""
        if self._on_trial:
            self._on_trial = False
            log.info("the agent is now of version %s", __version__)
            with contextlib.suppress(OSError):
                write_marker(self.marker, {**read_marker(self.marker), "state": "passed"})

    def _leave_when_quiet(self, deadline: float) -> None:
        """What is under way may end before, and is broken off after PATIENCE_S."""
        if self._leave is None or self._active is None:
            return
        if self._active() and time.monotonic() < deadline:
            self.loop.later(QUIET_S, lambda: self._leave_when_quiet(deadline))
        else:
            self._leave()

    def _reap(self) -> None:
        self._children = reap(self._children)

    def _read_marker(self) -> None:
        found = read_marker(self.marker)
        self._on_trial = found.get("state") == "trial" and found.get("sha256") == self._sha256
        if self._on_trial:
            self._children = [pid for pid in found.get("children", ()) if isinstance(pid, int)]
        if found.get("state") == "backed_out" and found.get("sha256") != self._sha256:
            self._asked = str(found.get("asked"))
            wish = {name: str(found.get(name, "")) for name in ("version", "asked")}
            self._failed(wish, str(found.get("problem")))

    def _failed(self, wish: Mapping[str, str], problem: str) -> None:
        self._told = {"version": wish["version"], "asked": wish["asked"], "problem": problem}
        log.error("the agent is not changed to version %s: %s", wish["version"], problem)

    def _check(self, wish: Mapping[str, str], *, may_go_back: bool) -> None:
        if self._leave is None:
            raise CannotUpdate("this agent is started anew each time; replace its file by hand")
        if not self._sha256:
            raise CannotUpdate(f"it does not run from labportal-agent.pyz but from {self.program}")
        if not VERSION.fullmatch(wish["version"]) or not SHA256.fullmatch(wish["sha256"]):
            raise CannotUpdate("the portal names no version or no checksum")
        if _parts(wish["version"]) < _parts(__version__) and not may_go_back:
            raise CannotUpdate(f"it is of version {__version__}, which is newer")
        if not os.access(self.program.parent, os.W_OK):
            raise CannotUpdate(f"{self.program.parent} cannot be written to")

    def _fetch(self, wish: Mapping[str, str]) -> Path:
        """Bring the file beside this one and see whether it starts. Raises CannotUpdate."""
        carriage = self.open_carriage()
        if not isinstance(carriage, BringsAgent):
            raise CannotUpdate("its carrier brings no files of agents")
        target = self.program.with_name(f".{self.program.name}.new")
        try:
            with target.open("wb") as stream:
                carriage.download_agent(stream, limit=LARGEST_FILE)
            if _sha256(target) != wish["sha256"]:
                raise CannotUpdate("what arrived is not what the portal announced (SHA-256)")
            shutil.copymode(self.program, target)
            _try(target, wish["version"])
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        finally:
            carriage.close()
        return target

    def _got(self, wish: Mapping[str, str], fetched: Path | None, error: Exception | None) -> None:
        if error is not None or fetched is None:
            self._failed(wish, str(error) or type(error).__name__)
            return
        self._wish = wish
        self.fetched = fetched
        self._leave_when_quiet(time.monotonic() + PATIENCE_S)

    def change(self, config: Path, lock: int) -> None:
        """Start the new file in place of this process; where that fails, the old one anew."""
        previous = self.program.with_name(f"{self.program.name}.previous")
        note = {
            "state": "trial",
            "version": self._wish["version"],
            "asked": self._wish["asked"],
            "sha256": self._wish["sha256"],
            "target": str(self.program),
            "previous": str(previous),
            "arguments": sys.argv[1:],
            "children": sorted(_children()),
        }
        try:
            shutil.copy2(self.program, previous)
            write_marker(self.marker, note)
            self._guard(previous, config)
            if self.fetched is not None:
                self.fetched.replace(self.program)
        except (OSError, subprocess.SubprocessError) as error:
            write_marker(self.marker, {**note, "state": "backed_out", "problem": str(error)[:300]})
        os.set_inheritable(lock, True)
        os.environ[LOCK_VARIABLE] = str(lock)
        os.execv(sys.executable, [sys.executable, str(self.program), *sys.argv[1:]])  # noqa: S606

    def _guard(self, previous: Path, config: Path) -> None:
        words = ["--config", str(config), "guard-update", "--pid", str(os.getpid())]
        subprocess.run(  # noqa: S603  (our own file; it goes to the background at once)
            [sys.executable, str(previous), *words], check=True, timeout=TRY_S
        )


def read_marker(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_marker(path: Path, note: Mapping[str, Any]) -> None:
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(json.dumps(dict(note)), encoding="utf-8")
    temporary.replace(path)


def adopt_lock(path: Path) -> int | None:
    """Return the lock that the version before left to this process, None where there is none."""
    number = os.environ.pop(LOCK_VARIABLE, "")
    if not number.isdigit():
        return None
    descriptor = int(number)
    try:
        if not os.path.samestat(os.fstat(descriptor), path.stat()):
            return None
        os.set_inheritable(descriptor, False)
    except OSError:
        return None
    return descriptor


def reap(children: list[int]) -> list[int]:
    """Take leave of programs that the version before had started; return those that still run."""
    left = []
    for pid in children:
        with contextlib.suppress(OSError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                left.append(pid)
    return left


def _try(file: Path, version: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603  (the file that was verified)
            [sys.executable, str(file), "--version"],
            capture_output=True,
            text=True,
            timeout=TRY_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotUpdate(f"it cannot be started: {error}") from None
    if done.returncode != 0 or done.stdout.split()[-1:] != [version]:
        words = (done.stderr.strip().splitlines() or [f"it says {done.stdout.strip()!r}"])[-1]
        raise CannotUpdate(f"it does not start here: {words[:200]}")


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _children() -> set[int]:
    """The processes that this one has started and must one day take leave of."""
    me, found = os.getpid(), set()
    for folder in procfs.PROC.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                rest = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(rest[1]) == me:
                    found.add(int(folder.name))
    return found
