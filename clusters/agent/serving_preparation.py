"""Brings what a model needs to its node: files from the portal, secret variables, image or folder.

Runs in worker threads. Files are accepted only with the announced size and SHA-256, and a transfer
that broke off goes on where it was. Secrets are kept in memory alone.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusters.agent.carriage import Carriage, OpenCarriage
from clusters.agent.client import Refused, Unreachable
from clusters.agent.config import Config
from clusters.agent.protocol import BadDocument
from clusters.agent.runtimes.base import Runtime, RuntimeFailed, ServingSpec
from clusters.agent.runtimes.model_files import unpack
from clusters.agent.spool import digest_of
from clusters.agent.staging import RETRY_STATUS
from clusters.agent.workspace import check_part, remove_tree

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
PART = "files.part"
MIB = 2**20


class NotYet(Exception):
    """It cannot go on now, by no fault of the model: tried again, and not counted as a failure."""


@dataclass(frozen=True)
class Prepared:
    """What a launch needs; `about` is worth showing."""

    generation: int
    model_dir: Path | None
    environment: Mapping[str, str] = field(repr=False)
    about: dict[str, Any]


class ServingPreparation:
    """Makes replicas ready on one machine; each worker thread keeps one connection."""

    def __init__(self, config: Config, open_carriage: OpenCarriage) -> None:
        self.config = config
        self.root = config.work / "models"
        self.open_carriage = open_carriage
        self._own = threading.local()
        self._secrets: dict[str, tuple[int, dict[str, str]]] = {}

    def folder(self, replica: str) -> Path:
        return self.root / check_part(replica)

    def log_file(self, replica: str, launch: int) -> Path:
        return self.folder(replica) / "logs" / f"{int(launch)}.log"

    def prepare(self, spec: ServingSpec, generation: int, runtime: Runtime) -> Prepared:
        """Raises NotYet, RuntimeFailed."""
        folder = self.folder(spec.replica)
        try:
            self.root.mkdir(exist_ok=True, mode=0o700)
            folder.mkdir(exist_ok=True, mode=0o700)
            (folder / "logs").mkdir(exist_ok=True, mode=0o700)
            model_dir = self._files(spec, folder)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise NotYet(f"the disk of this node is full: {error}") from None
            raise
        about = runtime.prepare(spec, folder)
        return Prepared(generation, model_dir, self._environment(spec, generation), about)

    def forget(self, replica: str) -> None:
        """Delete all that was prepared for a replica."""
        self._secrets.pop(replica, None)
        remove_tree(self.folder(replica))

    def drop_old_logs(self, replica: str, launch: int) -> None:
        """Keep the logs of this launch and of the one before it."""
        logs = self.folder(replica) / "logs"
        for path in logs.glob("*.log") if logs.is_dir() else ():
            if path.stem.isdecimal() and int(path.stem) < launch - 1:
                path.unlink(missing_ok=True)

    def _carriage(self) -> Carriage:
        if not hasattr(self._own, "carriage"):
            self._own.carriage = self.open_carriage()
        return self._own.carriage

    def _files(self, spec: ServingSpec, folder: Path) -> Path | None:
        """Return the folder that becomes /opt/ml/model, fetched and unpacked once per content."""
        if spec.files is None:
            return None
        sha256, size = str(spec.files["sha256"]).lower(), int(spec.files["size"])
        target = folder / f"model-{sha256[:32]}"
        if target.is_dir():
            return target
        for old in folder.glob("model-*"):
            remove_tree(old)
        free = os.statvfs(folder)
        free_mib = free.f_bavail * free.f_frsize // MIB
        if free_mib < size // MIB + self.config.minimum_free_mib:
            needed = f"the model's files take {size // MIB:,} MiB"
            raise NotYet(f"{needed}, and this node has {free_mib:,} MiB free")
        archive = self._fetch(spec, folder / PART, sha256, size)
        try:
            unpack(archive, target)
        finally:
            archive.unlink(missing_ok=True)
        return target

    def _fetch(self, spec: ServingSpec, part: Path, sha256: str, size: int) -> Path:
        name = str(spec.files["name"]) if spec.files else ""
        note = part.with_suffix(".sha256")  # of which content the part is
        if not note.exists() or note.read_text(encoding="ascii") != sha256:
            part.unlink(missing_ok=True)
            note.write_text(sha256, encoding="ascii")
        if part.exists() and part.stat().st_size > size:
            part.unlink()
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        with os.fdopen(os.open(part, flags, 0o600), "r+b") as stream:
            have = stream.seek(0, os.SEEK_END)
            if have < size:
                try:
                    self._carriage().download_model(
                        spec.replica, name, stream, limit=size - have, have=have
                    )
                except (Unreachable, Refused) as error:
                    raise _trouble(f"{name} could not be fetched", error) from None
            found = stream.seek(0, os.SEEK_END)
        if found < size:
            raise NotYet(f"{name} broke off after {found:,} of {size:,} bytes")
        if found != size or digest_of(part) != sha256:
            part.unlink()
            raise RuntimeFailed(f"{name} has another content than announced.", code="bad_files")
        return part

    def _environment(self, spec: ServingSpec, generation: int) -> dict[str, str]:
        """Return what the version sets, with its secrets, which are asked for once."""
        found = dict(spec.environment)
        if not spec.secrets:
            return found
        known = self._secrets.get(spec.replica)
        if known is None or known[0] != generation:
            try:
                secrets = self._carriage().model_environment(spec.replica)
            except (Unreachable, Refused, BadDocument) as error:
                raise _trouble("its secret variables could not be fetched", error) from None
            known = self._secrets[spec.replica] = (generation, secrets)
        return {**found, **known[1]}


def _trouble(words: str, error: Exception) -> Exception:
    """A portal that is away is nobody's fault; one that refuses is the model's."""
    if isinstance(error, Refused) and error.status not in RETRY_STATUS:
        return RuntimeFailed(f"{words}: {error}", code="bad_files")
    return NotYet(f"{words}: {error}")
