"""Files between the portal's store and a site's spool, by sftp, resumed where they broke off.

In a thread of its own, so that exchanges go on and leases are kept meanwhile. What the agent asks
for is answered from the database; a path of its own choosing is never used here.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

from calculations.services.drafts import check_file_name
from clusters.agent.protocol import MAX_RETRIEVED_FILE
from clusters.agent.spool import PART
from clusters.models import Cluster, SshAccess, SshSession
from clusters.services.agent_files import check_current, keep_file, staged_file
from clusters.transports.ssh.connection import Connection
from clusters.transports.ssh.troubles import Code
from clusters.transports.trials import Trouble
from labportal.common.errors import DomainError, InvalidInput, TooLarge, Unavailable
from labportal.common.storage import storage

URL_S = 3600
SPOOLED = re.compile(r"[0-9a-f-]{36}-\d{1,9}-[0-9a-f]{32}")
SHA256 = re.compile(r"[0-9a-f]{64}")


class NoRoomThere(DomainError):
    status = 507
    title = "The cluster has no room for a file"
    default_code = "no-room"


class Porter:
    """Carries the files of one session; `spool` is the folder that the agent named."""

    def __init__(
        self, connection: Connection, cluster: Cluster, access: SshAccess, session: SshSession
    ) -> None:
        self.connection, self.cluster, self.access = connection, cluster, access
        self.session = session
        self.spool = ""
        self.busy = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="files")
        self._calls: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "describe": self._describe,
            "stage": self._stage,
            "keep": self._keep,
        }

    def knows(self, call: str) -> bool:
        return call in self._calls

    def submit(
        self, call: Mapping[str, Any], answer: Callable[[dict[str, Any] | Exception], None]
    ) -> None:
        """Do what the agent asks, then say `answer` with what came of it."""

        def work() -> None:
            try:
                found: dict[str, Any] | Exception = self._calls[str(call["call"])](call)
            except Exception as error:
                found = _refused(error)
            answer(found)

        self._pool.submit(work)

    def close(self) -> None:
        """Let go; a transfer under way ends with the connection."""
        self._pool.submit(connections.close_all)
        self._pool.shutdown(wait=True, cancel_futures=False)

    def _describe(self, call: Mapping[str, Any]) -> dict[str, Any]:
        file = staged_file(self.cluster, _run(call), str(call.get("name")))
        return {"sha256": file.sha256, "size": file.size}

    def _stage(self, call: Mapping[str, Any]) -> dict[str, Any]:
        file = staged_file(self.cluster, _run(call), str(call.get("name")))
        have = call.get("have")
        have = have if isinstance(have, int) and 0 < have < file.size else 0
        if self.access.reaches_store and not call.get("by_hand"):
            url = storage().presigned_url(file.key, seconds=URL_S)
            if url:
                return {"url": url}
        target = f"{self.spool}/in/{file.sha256}{PART}"
        with _local(file.key) as path:
            self.connection.put(path, target, have=have)
        self.session.bytes_sent += file.size - have
        return {}

    def _keep(self, call: Mapping[str, Any]) -> dict[str, Any]:
        run, attempt, name = _run(call), _number(call, "attempt"), str(call.get("name"))
        spooled, sha256 = str(call.get("spooled")), str(call.get("sha256")).lower()
        check_file_name(name)
        if not SPOOLED.fullmatch(spooled) or not SHA256.fullmatch(sha256):
            raise InvalidInput("names no file of the spool", field="spooled")
        if _number(call, "size") > MAX_RETRIEVED_FILE:
            raise TooLarge(f"A file is at most {MAX_RETRIEVED_FILE} bytes.")
        check_current(self.cluster, run, attempt)
        path = incoming(self.cluster.pk) / spooled
        for _ in range(2):  # what was left by a broken transfer may be of another file
            self._fetch(f"{self.spool}/out/{spooled}", path, _number(call, "size"))
            if _sha256(path) == sha256:
                break
            path.unlink()
        else:
            raise InvalidInput("The checksum does not match what arrived.", code="checksum")
        with path.open("rb") as stream:
            size = keep_file(self.cluster, run, attempt, name, stream, sha256=sha256)
        path.unlink()
        return {"size": size}

    def _fetch(self, source: str, path: Path, size: int) -> None:
        have = path.stat().st_size if path.exists() else 0
        if have >= size:
            path.unlink(missing_ok=True)
            have = 0
        self.connection.get(source, path)
        arrived = path.stat().st_size if path.exists() else 0
        if arrived > MAX_RETRIEVED_FILE:
            path.unlink()
            raise TooLarge(f"A file is at most {MAX_RETRIEVED_FILE} bytes.")
        self.session.bytes_fetched += max(arrived - have, 0)


def incoming(cluster_id: int) -> Path:
    """Where files wait that are not whole yet; they outlive the session."""
    folder = settings.HOME / "ssh" / str(cluster_id)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def forget_incoming(older_than: float) -> None:
    """Delete what nobody went on with; `older_than` is a Unix time."""
    for path in (settings.HOME / "ssh").glob("*/*"):
        if path.stat().st_mtime < older_than:
            path.unlink(missing_ok=True)


@contextmanager
def _local(key: str) -> Iterator[Path]:
    """Yield a path of the stored file, by a name that sftp takes for nothing else."""
    with tempfile.TemporaryDirectory(prefix="labportal-stage-") as folder:
        path = Path(folder) / "file"
        with storage().open(key) as stream:
            stored = Path(str(getattr(stream, "name", "")))
            if stored.is_absolute() and stored.is_file():
                path.symlink_to(stored)
            else:
                with path.open("wb") as copy:
                    shutil.copyfileobj(stream, copy)
        yield path


def _refused(error: Exception) -> Exception:
    """What the agent is told: a full disk is its run's trouble, a broken way is nobody's."""
    if not isinstance(error, Trouble):
        return error
    if error.code is Code.DISK_FULL:
        return NoRoomThere(error.words)
    return Unavailable(error.words, code=error.code.value)


def _run(call: Mapping[str, Any]) -> uuid.UUID:
    try:
        return uuid.UUID(str(call.get("run")))
    except ValueError:
        raise InvalidInput("is no run", field="run") from None


def _number(call: Mapping[str, Any], name: str) -> int:
    value = call.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInput("is no number", field=name)
    return value


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
