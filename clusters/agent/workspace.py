"""The folders of runs: work/runs/<run>/<attempt>/ for the program, .<attempt>/ beside it for the
agent's marks.

Every name that comes from outside passes through here; nothing outside the work folder is read or
written, and no symbolic link is followed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO

BLOCK = 512  # what st_blocks counts in
CHUNK = 1024 * 1024
HASHED_PER_S = 200 * 1024 * 1024  # bytes, so that programs keep the disk for themselves
MOST_NAMED = 1000  # files of a purge that are named with their digests
MOST_COUNTED = 100_000
SAFE_PART = re.compile(r"[A-Za-z0-9_+=,@%~-][A-Za-z0-9_.+=,@%~ -]{0,199}")


class UnsafeName(ValueError):
    """A name that would lead out of the run's folder, or that file systems do not bear alike."""


def check_part(name: str) -> str:
    """Return `name` where it is one harmless path component. Raises UnsafeName."""
    if not isinstance(name, str) or not SAFE_PART.fullmatch(name):
        raise UnsafeName(f"{str(name)[:80]!r} is not a safe name")
    return name


def check_relative(name: str) -> str:
    """Return `name` where it is a relative path of harmless components. Raises UnsafeName."""
    parts = str(name).split("/")
    if len(parts) > 8:
        raise UnsafeName(f"{str(name)[:80]!r} is nested too deeply")
    for part in parts:
        check_part(part)
    return name


class Workspace:
    """The folders below one work folder. `write` is the one seam by which files of runs are
    written.
    """

    def __init__(self, work: Path) -> None:
        self.work = work
        self.runs = work / "runs"

    def open(self) -> None:
        """Create the work folder, closed to others. Raises OSError."""
        self.work.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.runs.mkdir(exist_ok=True, mode=0o700)

    def run_folder(self, run: str) -> Path:
        return self.runs / check_part(run)

    def folder(self, run: str, attempt: int) -> Path:
        return self.run_folder(run) / str(int(attempt))

    def control(self, run: str, attempt: int) -> Path:
        return self.run_folder(run) / f".{int(attempt)}"

    def make(self, run: str, attempt: int) -> Path:
        """Return a new empty folder; what an interrupted preparation left is deleted first."""
        folder = self.folder(run, attempt)
        remove_tree(folder)
        folder.mkdir(parents=True, mode=0o700)
        self.control(run, attempt).mkdir(exist_ok=True, mode=0o700)
        return folder

    def create(self, folder: Path, name: str) -> BinaryIO:
        """Open a new file in a run's folder for writing; it must not exist. Raises UnsafeName,
        OSError.
        """
        path = folder / check_relative(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        return os.fdopen(os.open(path, flags, 0o600), "wb")

    def write(self, folder: Path, name: str, content: bytes) -> None:
        with self.create(folder, name) as stream:
            stream.write(content)

    def free_mib(self) -> int:
        return shutil.disk_usage(self.work).free // 2**20

    def inventory(self, run: str, keep: Sequence[str], *, attempt: int = 0) -> Inventory:
        """Hash what `purge` would delete, at a bounded rate: this may take long, and runs in a
        worker.
        """
        found = Inventory()
        for path, name, status in self._files(run, attempt):
            size = status.st_blocks * BLOCK
            of_attempt, _, inner = name.partition("/")
            if matches(inner, keep):
                found.kept_bytes += size
                continue
            found.freed_bytes += size
            if not of_attempt.startswith(".") and stat.S_ISREG(status.st_mode):
                found.count += 1
                found.bytes += status.st_size
                if found.count <= MOST_NAMED:
                    about = {"attempt": _attempt(of_attempt), "name": inner}
                    digest = _sha256(path)
                    found.files.append({**about, "size": status.st_size, "sha256": digest})
        return found

    def purge(self, run: str, keep: Sequence[str], *, attempt: int = 0) -> int:
        """Delete a run's folders but for files that match `keep`; return the freed bytes.

        `attempt`: the newest that may go, 0 for all; what a later one has written stays.
        """
        freed = 0
        for path, name, status in self._files(run, attempt):
            if not matches(name.partition("/")[2], keep):
                freed += status.st_blocks * BLOCK
                path.unlink()
        folder = self.run_folder(run)
        for parent, _, _ in os.walk(folder, topdown=False):
            later = attempt and _newest(Path(parent).relative_to(folder).parts) > attempt
            if not later and not any(True for _ in os.scandir(parent)):
                Path(parent).rmdir()
        return freed

    def disk_bytes(self, run: str) -> int | None:
        """Return what a run's folders take on the disk; None where that cannot be told: too many
        files, or they come and go.
        """
        taken = 0
        try:
            for number, (_, _, status) in enumerate(self._files(run, 0)):
                if number >= MOST_COUNTED:
                    return None
                taken += status.st_blocks * BLOCK
        except OSError:
            return None
        return taken

    def _files(self, run: str, attempt: int) -> Iterator[tuple[Path, str, os.stat_result]]:
        folder = self.run_folder(run)
        if folder.is_symlink() or not folder.is_dir():
            return
        for path, name, status in walk(folder):
            if not attempt or _newest(name.split("/")[:-1]) <= attempt:
                yield path, name, status


@dataclass
class Inventory:
    """What a purge deletes: the first files with their digests, how many there are, what they take
    on the disk, and what stays.
    """

    files: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    bytes: int = 0
    freed_bytes: int = 0
    kept_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _attempt(folder: str) -> int:
    number = folder.lstrip(".")
    return int(number) if number.isdecimal() else 0


def _newest(parts: Sequence[str]) -> int:
    """The attempt to which a folder inside of a run's belongs, 0 for the run's own."""
    return _attempt(parts[0]) if parts else 0


def _sha256(path: Path) -> str:
    """Return the digest of a file, "" where it cannot be read; slower than the disk by intent."""
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            while chunk := file.read(CHUNK):
                began = time.monotonic()
                digest.update(chunk)
                time.sleep(max(0.0, len(chunk) / HASHED_PER_S - (time.monotonic() - began)))
    except OSError:
        return ""
    return digest.hexdigest()


def walk(folder: Path) -> Iterator[tuple[Path, str, os.stat_result]]:
    """Yield every entry below `folder` that is no folder, as (path, relative name, lstat); links
    unfollowed.
    """
    pending = [(folder, "")]
    while pending:
        parent, prefix = pending.pop()
        with os.scandir(parent) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False):
                    pending.append((Path(entry.path), f"{prefix}{entry.name}/"))
                else:
                    status = entry.stat(follow_symlinks=False)
                    yield Path(entry.path), prefix + entry.name, status


def find_files(folder: Path, patterns: Iterable[str]) -> list[tuple[str, Path, int]]:
    """Return (name, path, size) of the regular files that match; links and unsafe names are passed
    over.
    """
    patterns = tuple(patterns)
    if not patterns or not folder.is_dir():
        return []
    found = []
    for path, name, status in walk(folder):
        if not stat.S_ISREG(status.st_mode) or not matches(name, patterns):
            continue
        try:
            found.append((check_relative(name), path, status.st_size))
        except UnsafeName:
            continue
    return sorted(found)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading without following a link. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path.name} is not a regular file")
    return os.fdopen(descriptor, "rb")


def remove_tree(folder: Path) -> None:
    """Delete a folder with all it holds; links are deleted, never followed. Absent is fine."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a relative name matches; as in a shell, * does not cross a folder."""
    parts = name.split("/")
    for pattern in patterns:
        wanted = pattern.split("/")
        if len(wanted) == len(parts) and all(map(fnmatchcase, parts, wanted)):
            return True
    return False
