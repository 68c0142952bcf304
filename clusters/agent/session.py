"""The carrier `ssh`, the agent's end: calls to the portal over the two pipes of one sign-in.

The agent calls and the portal answers, by numbers, so that an exchange goes on while files travel.
When the pipes end, the process does: what was in its hands is taken up by the next session.
"""

from __future__ import annotations

import itertools
import logging
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from clusters.agent.client import Refused, Unreachable
from clusters.agent.frames import Reader, Writer
from clusters.agent.protocol import BadDocument
from clusters.agent.spool import CHUNK, Damaged, Spool, free_name, from_store, wait_for_ever

log = logging.getLogger(__name__)

ANSWER_S = 60.0
NO_MODELS = (
    "models are served by an agent that stays beside them; this one comes by SSH for moments"
)


class _Call:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.frame: Mapping[str, Any] | None = None


class Session:
    """`told(word)` is called with what the portal says unasked: "wake", "end", and "over"."""

    def __init__(self, source: BinaryIO, target: BinaryIO, told: Callable[[str], None]) -> None:
        self.told = told
        self.over = False
        self._reader, self._writer = Reader(source), Writer(target)
        self._numbers = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, name="session", daemon=True).start()

    def call(
        self, name: str, /, *, wait_s: float | None = None, **arguments: Any
    ) -> dict[str, Any]:
        """Return the portal's answer. Raises Refused, Unreachable where the session is over."""
        call, number = _Call(), next(self._numbers)
        with self._lock:
            self._calls[number] = call
        try:
            if self.over:
                raise Unreachable("the session is over")
            self._writer.write({"id": number, "call": name, **arguments})
            if not call.done.wait(wait_s):
                self.end()
                raise Unreachable(f"no answer within {wait_s:.0f} s")
        except (OSError, ValueError) as error:
            self.end()
            raise Unreachable(f"the session is over: {error}") from None
        finally:
            with self._lock:
                self._calls.pop(number, None)
        if call.frame is None:
            raise Unreachable("the session is over")
        return _answer(call.frame)

    def say(self, name: str, /, **arguments: Any) -> None:
        """Tell the portal something that needs no answer; it may be gone."""
        try:
            self._writer.write({"call": name, **arguments})
        except (OSError, ValueError) as error:
            log.info("the portal is gone: %s", error)

    def end(self) -> None:
        """Give up; every call under way fails."""
        with self._lock:
            first, self.over = not self.over, True
            waiting = list(self._calls.values())
        for call in waiting:
            call.done.set()
        if first:
            self.told("over")

    def _listen(self) -> None:
        try:
            while (frame := self._reader.read()) is not None:
                self._take(frame)
        except (BadDocument, OSError, ValueError) as error:
            log.warning("the session breaks off: %s", error)
        self.end()

    def _take(self, frame: Mapping[str, Any]) -> None:
        if "tell" in frame:
            self.told(str(frame["tell"]))
            return
        with self._lock:
            call = self._calls.get(frame.get("id", 0))
        if call is not None:
            call.frame = frame
            call.done.set()


def _answer(frame: Mapping[str, Any]) -> dict[str, Any]:
    refused = frame.get("refused")
    if isinstance(refused, dict):
        problem = refused.get("problem")
        status, known = refused.get("status"), problem if isinstance(problem, dict) else {}
        raise Refused(status if isinstance(status, int) else 500, known)
    answer = frame.get("answer")
    return answer if isinstance(answer, dict) else {}


class SpoolCarriage:
    """Exchanges and files through one session; files pass through the spool."""

    def __init__(self, session: Session, spool: Spool) -> None:
        self.session = session
        self.spool = spool

    def exchange(self, document: Mapping[str, Any], *, wait_s: float) -> dict[str, Any] | None:
        return self.session.call("exchange", wait_s=ANSWER_S, document=dict(document))

    def download(self, run: str, name: str, target: BinaryIO, *, limit: int) -> int:
        file = self._file_call("describe", run=run, name=name)
        sha256, size = str(file.get("sha256")), int(file.get("size", 0))
        if size > limit:
            raise Refused(409, {"detail": f"{name} has {size} bytes, announced were {limit}"})

        def get(part: Path, have: int) -> None:
            self._get(part, have, run=run, name=name, sha256=sha256)

        try:
            path = self.spool.bring(sha256, size, get)
        except Damaged:
            raise Refused(502, {"detail": f"{name} arrived damaged twice"}) from None
        with path.open("rb") as source:
            shutil.copyfileobj(source, target, CHUNK)
        return size

    def _get(self, part: Path, have: int, **file: str) -> None:
        """Have the portal put the file there, or fetch it where the store lets this machine in."""
        answer = self._file_call("stage", have=have, **file)
        if not answer.get("url"):
            return
        try:
            from_store(str(answer["url"]), part, have)
        except OSError as error:
            log.warning("the file store cannot be reached from here: %s", error)
            have = part.stat().st_size if part.exists() else 0
            self._file_call("stage", have=have, by_hand=True, **file)

    def upload(
        self, run: str, attempt: int, name: str, source: BinaryIO, *, size: int, sha256: str
    ) -> None:
        try:
            path = self.spool.offer(free_name(run, attempt, sha256), source)
        except OSError as error:
            raise Unreachable(f"{name} cannot be laid out: {error}") from None
        self._file_call(
            "keep",
            run=run,
            attempt=attempt,
            name=name,
            size=size,
            sha256=sha256,
            spooled=path.name,
        )
        path.unlink(missing_ok=True)

    def download_model(
        self, replica: str, name: str, target: BinaryIO, *, limit: int, have: int = 0
    ) -> int:
        raise Refused(501, {"detail": NO_MODELS})

    def model_environment(self, replica: str) -> dict[str, str]:
        raise Refused(501, {"detail": NO_MODELS})

    def _file_call(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """A call for a file. With the session the process ends, and no run is blamed for that."""
        try:
            return self.session.call(name, **arguments)
        except Unreachable:
            wait_for_ever()
            raise

    def abort(self) -> None:
        self.session.end()

    def close(self) -> None:
        """The session is closed by who opened it."""
