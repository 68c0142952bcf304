"""The spool of the carrier `ssh`: files on their way between the work folder and the portal.

`in/` holds staged files by their SHA-256, so that a file which many runs need travels once; `out/`
holds retrieved ones until the portal has them. The portal writes and reads here by sftp.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from clusters.agent.workspace import check_part, open_regular

CHUNK = 1024 * 1024
PART = ".part"
KEEP_S = 3 * 86_400.0  # after its last use a staged file goes
FETCH_S = 60.0  # without a byte


class Damaged(Exception):
    """A file arrived twice with another content than announced."""


class Spool:
    """Worker threads share one; a file is brought once however many wait for it."""

    def __init__(self, work: Path) -> None:
        self.folder = work / "spool"
        self.incoming = self.folder / "in"
        self.outgoing = self.folder / "out"
        self._lock = threading.Lock()
        self._bringing: dict[str, threading.Lock] = {}

    def open(self) -> None:
        for folder in (self.folder, self.incoming, self.outgoing):
            folder.mkdir(exist_ok=True, mode=0o700)

    def bring(self, sha256: str, size: int, get: Callable[[Path, int], None]) -> Path:
        """Return the staged file with this content. `get(part, have)` is called to let a file grow
        from `have` bytes on. Raises Damaged, OSError and what `get` raises.
        """
        path = self.incoming / check_part(sha256)
        with self._lock:
            bringing = self._bringing.setdefault(sha256, threading.Lock())
        with bringing:
            if _size(path) == size:
                os.utime(path)
                return path
            part = path.with_name(path.name + PART)
            for _ in range(2):
                have = _size(part)
                if have is None or have > size or part.is_symlink():
                    part.unlink(missing_ok=True)
                    have = 0
                if have < size or not part.exists():
                    get(part, have)
                if _size(part) == size and digest_of(part) == sha256:
                    part.chmod(0o600)
                    part.replace(path)
                    return path
                part.unlink(missing_ok=True)
        raise Damaged

    def offer(self, name: str, source: BinaryIO) -> Path:
        """Lay a file out for the portal under `name`, by a link where that can be."""
        path = self.outgoing / check_part(name)
        path.unlink(missing_ok=True)
        try:
            os.link(f"/proc/self/fd/{source.fileno()}", path, follow_symlinks=True)
        except OSError:
            draft = path.with_name(path.name + PART)
            draft.unlink(missing_ok=True)
            with draft.open("xb") as target:
                shutil.copyfileobj(source, target, CHUNK)
            draft.replace(path)
        return path

    def tidy(self, now: float) -> None:
        """Delete what nobody has used for long."""
        for folder in (self.incoming, self.outgoing):
            for path in folder.iterdir():
                with contextlib.suppress(OSError):
                    if now - path.lstat().st_mtime > KEEP_S:
                        path.unlink()


def from_store(url: str, part: Path, have: int) -> None:
    """Let a file grow from the store's own address. Raises OSError."""
    if not url.startswith(("https://", "http://")):
        raise OSError("the store's address is none")
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  (checked above)
    try:
        with urllib.request.urlopen(request, timeout=FETCH_S) as answer:  # noqa: S310
            mode = "ab" if have and answer.status == 206 else "wb"
            with part.open(mode) as target:
                shutil.copyfileobj(answer, target, CHUNK)
    except urllib.error.HTTPError as error:
        raise OSError(f"the file store answered {error.code}") from None


def digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def free_name(run: str, attempt: int, sha256: str) -> str:
    """Return the name under which a retrieved file is laid out: one per run, attempt, content."""
    return f"{run}-{attempt}-{sha256[:32]}"


def _size(path: Path) -> int | None:
    try:
        return path.lstat().st_size
    except OSError:
        return None


def wait_for_ever() -> None:
    """For worker threads whose session is over: the process ends, and they with it."""
    while True:
        time.sleep(3600)
