"""Brings files to a run's folder before the start, and the few that people asked for to the portal.

Runs in worker threads. Staged files are accepted only with the announced size and SHA-256; nothing
is copied from or to anywhere but the folders of runs.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from calculations.software.base import Carry, StagedFile
from clusters.agent.carriage import Carriage, OpenCarriage
from clusters.agent.client import Refused, Unreachable
from clusters.agent.protocol import MAX_RETRIEVED_FILE
from clusters.agent.workspace import Workspace, find_files, open_regular

CHUNK = 1024 * 1024
RETRY_STATUS = frozenset({401, 408, 425, 429, 500, 502, 503, 504})


class StagingFailed(Exception):
    """A file could not be brought here; the message names the file and the reason."""


class _Hashing:
    """A target that counts and hashes what is written through it."""

    def __init__(self, target: BinaryIO) -> None:
        self.target = target
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, chunk: bytes) -> int:
        self.size += len(chunk)
        self.digest.update(chunk)
        return self.target.write(chunk)


class Staging:
    """File transfers of one agent; each worker thread keeps one connection."""

    def __init__(self, open_carriage: OpenCarriage, workspace: Workspace) -> None:
        self.open_carriage = open_carriage
        self.workspace = workspace
        self._own = threading.local()

    def _carriage(self) -> Carriage:
        if not hasattr(self._own, "carriage"):
            self._own.carriage = self.open_carriage()
        return self._own.carriage

    def fetch(self, folder: Path, run: str, files: Iterable[StagedFile]) -> None:
        """Download staged files. Raises StagingFailed, UnsafeName, OSError."""
        for file in files:
            with self.workspace.create(folder, file.name) as stream:
                target = _Hashing(stream)
                try:
                    self._carriage().download(run, file.name, target, limit=file.size)
                except (Unreachable, Refused) as error:
                    raise StagingFailed(f"{file.name} could not be fetched: {error}") from None
            if target.size != file.size:
                found = f"more than {file.size}" if target.size > file.size else target.size
                raise StagingFailed(f"{file.name} has {found} bytes, announced were {file.size}")
            if target.digest.hexdigest() != file.sha256.lower():
                raise StagingFailed(f"{file.name} has another SHA-256 than announced")

    def carry(self, folder: Path, carry: Carry, attempt: int) -> list[str]:
        """Copy what a chained run takes over; return the names. Raises StagingFailed, OSError."""
        source = self.workspace.folder(carry.run, attempt)
        if not source.is_dir() or source.is_symlink():
            raise StagingFailed(f"the folder of run {carry.run} is not on this machine any more")
        names = []
        for name, path, _ in find_files(source, carry.patterns):
            with open_regular(path) as original, self.workspace.create(folder, name) as copy:
                shutil.copyfileobj(original, copy, CHUNK)
            names.append(name)
        return names

    def upload(
        self, folder: Path, run: str, attempt: int, patterns: Sequence[str]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Send the files that are kept; return those sent and those left out, with the reason.

        Raises Unreachable, or Refused where asking again later makes sense.
        """
        sent: list[dict[str, Any]] = []
        left_out: list[dict[str, Any]] = []
        for name, path, size in find_files(folder, patterns):
            if size > MAX_RETRIEVED_FILE:
                limit = MAX_RETRIEVED_FILE // 2**20
                left_out.append({"name": name, "size": size, "why": f"larger than {limit} MiB"})
                continue
            try:
                sent.append(self._upload_one(run, attempt, name, path, size))
            except OSError as error:
                left_out.append({"name": name, "size": size, "why": f"unreadable: {error}"})
            except Refused as error:
                if error.status in RETRY_STATUS:
                    raise
                left_out.append({"name": name, "size": size, "why": str(error)})
        return sent, left_out

    def _upload_one(
        self, run: str, attempt: int, name: str, path: Path, size: int
    ) -> dict[str, Any]:
        with open_regular(path) as file:
            digest = hashlib.sha256()
            for chunk in iter(lambda: file.read(CHUNK), b""):
                digest.update(chunk)
            size = file.tell()
            file.seek(0)
            sha256 = digest.hexdigest()
            self._carriage().upload(run, attempt, name, file, size=size, sha256=sha256)
        return {"name": name, "size": size, "sha256": sha256}
