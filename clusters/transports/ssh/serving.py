"""The portal's end of a session: answers what the agent asks, through the pipes of one sign-in."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusters.agent.frames import Reader, Writer
from clusters.agent.protocol import PROTOCOL, BadDocument
from clusters.exchange import handle_known
from clusters.models import Cluster, SshAccess, SshSession
from clusters.transports.answering import problem, refusal, storable, with_connection
from clusters.transports.ssh import budget, installation
from clusters.transports.ssh.arguments import shell_path
from clusters.transports.ssh.connection import Connection
from clusters.transports.ssh.files import Porter
from clusters.transports.ssh.troubles import Code
from clusters.transports.trials import Trouble
from labportal.common.errors import DomainError
from labportal.common.metrics import EXCHANGES

log = logging.getLogger(__name__)

HELLO_S = 90.0  # until the agent says its first word, on a login node that is busy
SILENT_S = 90.0  # of an agent that exchanges every half minute
LINGER_S = 1.0
LOOK_S = 0.2
NEWS_S = 1.0  # how often it is looked whether something new is wanted there
END_S = 15.0
HELD = 75  # the agent's exit code where another one has the work folder

STOPPING = threading.Event()  # this worker is asked to end


@dataclass(slots=True)
class Outcome:
    """`installed`: whether the agent that should be there was let in; `said`: its last words."""

    installed: bool = False
    spoke: bool = False
    more: bool = False
    said: str = ""


class Serving:
    """One session. Raises Trouble where it breaks off before its end."""

    def __init__(
        self, connection: Connection, cluster: Cluster, access: SshAccess, session: SshSession
    ) -> None:
        self.connection, self.cluster, self.access = connection, cluster, access
        self.session = session
        self.porter = Porter(connection, cluster, access, session)
        self.outcome = Outcome()
        self._frames: queue.SimpleQueue[Mapping[str, Any] | Exception | None] = queue.SimpleQueue()
        self._told = access.told
        self._bye: Mapping[str, Any] | None = None
        self._writer: Writer
        self._reader: Reader

    def run(self) -> Outcome:
        with tempfile.TemporaryFile() as errors:
            process = self.connection.pipe(self._command(), errors.fileno())
            assert process.stdin is not None and process.stdout is not None  # noqa: S101
            self._writer, self._reader = Writer(process.stdin), Reader(process.stdout)
            threading.Thread(target=self._listen, name="agent", daemon=True).start()
            try:
                self._serve()
            finally:
                self._end(process)
            errors.seek(0)
            said = errors.read(8000).decode(errors="replace")
        self._conclude(process.returncode, said)
        return self.outcome

    def _command(self) -> str:
        python, work = shell_path(self.access.python), self.access.work
        agent, settings = (
            shell_path(f"{work}/{name}") for name in (installation.AGENT, installation.SETTINGS)
        )
        return f"{python} {agent} --config {settings} exchange"

    def _listen(self) -> None:
        try:
            while (frame := self._reader.read()) is not None:
                self._frames.put(frame)
        except (BadDocument, OSError, ValueError) as error:
            self._frames.put(error)
        self._frames.put(None)

    def _serve(self) -> None:
        began = heard = looked = renewed = time.monotonic()
        asked_to_end = False
        while self._bye is None:
            frame = self._next()
            moment = time.monotonic()
            if isinstance(frame, Exception):
                raise Trouble(Code.NOISE, f"What comes from there is no exchange: {frame}")
            if frame is None:
                return
            if frame:
                heard = moment
                self._take(frame)
            limit = SILENT_S if self.outcome.spoke else HELLO_S
            if moment - heard > limit:
                raise Trouble(Code.LOST, f"The agent over there said nothing for {limit:.0f} s.")
            over = moment - began > self.access.session_s + END_S
            if (STOPPING.is_set() or over) and not asked_to_end:
                asked_to_end = self._tell("end")
            if moment - looked > NEWS_S:
                looked = moment
                self._look_for_news()
            if moment - renewed > budget.EXPIRY.total_seconds() / 3:
                renewed = moment
                budget.renew(self.session)

    def _next(self) -> Mapping[str, Any] | Exception | None:
        try:
            return self._frames.get(timeout=LOOK_S)
        except queue.Empty:
            return {}

    def _take(self, frame: Mapping[str, Any]) -> None:
        call, number = str(frame.get("call")), frame.get("id")
        if call == "bye":
            self._bye = frame
        elif call == "hello":
            self._answer(number, self._hello(frame))
        elif call == "exchange" and isinstance(frame.get("document"), dict):
            self._answer(number, self._exchange(frame["document"]))
        elif self.porter.knows(call) and self.porter.spool:
            self.porter.submit(frame, lambda found: self._answer(number, found))
        else:
            self._answer(number, DomainError("The portal knows no such call.", code="call"))

    def _hello(self, frame: Mapping[str, Any]) -> dict[str, Any]:
        """Let in the agent that should be there, and none other."""
        told = (frame.get("agent_sha256"), frame.get("settings_sha256"))
        spool = str(frame.get("spool", ""))
        harmless = spool.startswith("/") and not set(spool) & set('*?[]"\\') and spool.isprintable()
        self.outcome.installed = told == installation.digests(self.access) and harmless
        if not self.outcome.installed or frame.get("protocol") != PROTOCOL:
            return {"go": False}
        self.porter.spool = spool
        return {"go": True, "length_s": self.access.session_s, "linger_s": LINGER_S}

    def _exchange(self, document: dict[str, Any]) -> dict[str, Any] | Exception:
        try:
            answer = with_connection(handle_known, self.cluster.pk, storable(document))
        except Exception as error:
            refused = refusal(error)
            EXCHANGES.labels("ssh", str(int(refused.status))).inc()
            return refused
        EXCHANGES.labels("ssh", "200").inc()
        self.outcome.spoke = True
        self.session.exchanges += 1
        self._told = answer.document["desired"]
        SshAccess.objects.filter(pk=self.access.pk).update(told=self._told)
        return answer.document

    def _look_for_news(self) -> None:
        if not self.outcome.spoke:
            return
        desired = Cluster.objects.filter(pk=self.cluster.pk).values_list("desired", flat=True)
        if (desired.first() or 0) > self._told:
            self._tell("wake")

    def _answer(self, number: Any, found: dict[str, Any] | Exception) -> None:
        """Any thread may; an agent that is gone is noticed by the main one."""
        if isinstance(found, Exception):
            error = refusal(found)
            document = {"refused": {"status": int(error.status), "problem": problem(error)}}
        else:
            document = {"answer": found}
        with contextlib.suppress(OSError, ValueError):
            self._writer.write({"id": number, **document})

    def _tell(self, word: str) -> bool:
        with contextlib.suppress(OSError, ValueError):
            self._writer.write({"tell": word})
        return True

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """The pipes' end is the agent's; what does not go by itself is killed.

        A file under way is broken off with the connection: the next session goes on with it.
        """
        self._writer.close()
        try:
            process.wait(END_S if self._bye is not None else 2.0)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self.porter.spool and (self._bye is None or self._bye.get("more")):
            self.connection.close()
        self.porter.close()
        assert process.stdout is not None  # noqa: S101
        with contextlib.suppress(OSError):
            process.stdout.close()

    def _conclude(self, code: int, said: str) -> None:
        why = str((self._bye or {}).get("why", ""))
        self.outcome.more = bool((self._bye or {}).get("more"))
        if why == "held" or code == HELD:
            words = "Another agent works in this work folder."
            raise Trouble(Code.BUSY, words, "Stop it, or give this cluster a folder of its own.")
        last_words = said.strip() or self._reader.noise.strip() or f"exit code {code}"
        self.outcome.said = last_words[-300:]
        if self._bye is None and (self.outcome.installed or code == 255):
            raise self.connection.lost(said)
