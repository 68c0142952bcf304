"""Unpacks a model's tar.gz, which may come from anywhere and is taken for hostile.

Plain files and folders alone, each created anew below one folder; bounded in size, number and ratio
of packing; all or nothing. `inspect` reads the same way and writes nothing.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from clusters.agent.runtimes.base import RuntimeFailed

MIB = 2**20
CHUNK = MIB
HEADERS = MIB  # bytes that may stand between two files: tarfile keeps them in memory
PADDING = 4 * tarfile.RECORDSIZE
PART_BYTES, PATH_BYTES, DEEPEST = 255, 1024, 32
BAD_ARCHIVE = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError, OverflowError)


@dataclass(frozen=True)
class Bounds:
    """`ratio` counts beyond the first `any_ratio` bytes; `free_mib` stay free on the disk."""

    most_bytes: int = 200 * 1024 * MIB
    most_files: int = 100_000
    ratio: int = 200
    any_ratio: int = 256 * MIB
    free_mib: int = 64


@dataclass(frozen=True)
class Contents:
    """What an archive holds; sizes in bytes."""

    files: int
    size: int


def unpack(archive: Path, target: Path, bounds: Bounds = Bounds()) -> Contents:
    """Make `target` the folder of what the archive holds: it is there whole or not at all, also
    after the power went. One at a time for the same target.

    Raises RuntimeFailed where the archive is not fit, OSError where the disk is not.
    """
    made = target.with_name(f".{target.name}.new")
    shutil.rmtree(made, ignore_errors=True)  # of one that was killed
    made.mkdir()
    try:
        with archive.open("rb") as stream:
            contents = _walk(stream, bounds, made)
        made.chmod(0o755)
        made.rename(target)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return contents


def inspect(stream: BinaryIO, bounds: Bounds = Bounds()) -> Contents:
    """Read an archive through and write nothing. Raises RuntimeFailed where it is not fit."""
    return _walk(stream, bounds, None)


def _walk(stream: BinaryIO, bounds: Bounds, folder: Path | None) -> Contents:
    files, size = 0, 0
    names = _Names()
    with _named_problems(), gzip.GzipFile(fileobj=stream) as packed:
        guarded = _Guarded(packed, stream, bounds)
        with tarfile.open(fileobj=guarded, mode="r|", errorlevel=2) as archive:
            for member in _members(archive, guarded):
                parts = _checked(member)
                if files >= bounds.most_files:
                    raise _bad(f"more than {bounds.most_files:,} files")
                if size + member.size > bounds.most_bytes:
                    raise _bad(f"more than {bounds.most_bytes // MIB:,} MiB")
                files, size = files + 1, size + member.size
                names.add(parts, folder=member.isdir())
                if member.isdir():
                    if folder is not None:
                        _folder(folder, parts)
                    continue
                guarded.allow(member.size)
                _copy(archive, member, folder, parts, bounds)
    if not files:
        raise _bad("nothing")
    return Contents(files, size)


def _members(archive: tarfile.TarFile, guarded: _Guarded) -> Iterator[tarfile.TarInfo]:
    while True:
        guarded.allow(0)
        member = archive.next()
        if member is None:
            return
        archive.members = []  # it would keep them all
        yield member


def _checked(member: tarfile.TarInfo) -> tuple[str, ...]:
    """Return the parts of a member's name. Raises RuntimeFailed for what a model needs not."""
    name = member.name
    shown = repr(name[:120])
    if member.issym() or member.islnk():
        raise _bad(f"the link {shown}; pack what links lead to, by tar -h")
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
    if (not plain and not member.isdir()) or member.size < 0:
        raise _bad(f"{shown}, which is neither a file nor a folder")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or (not parts and not member.isdir()):
        raise _bad(f"{shown}, which leads out of the model's folder; pack it by tar -C FOLDER .")
    try:
        long = len(name.encode()) > PATH_BYTES or any(len(p.encode()) > PART_BYTES for p in parts)
    except UnicodeEncodeError:
        raise _bad(f"{shown}, a name that is not UTF-8") from None
    if long or len(parts) > DEEPEST or any(ord(sign) < 32 or sign == "\x7f" for sign in name):
        raise _bad(f"{shown}, a name that file systems do not bear alike")
    return parts


class _Names:
    """What has come so far: each file once, and nothing below a file."""

    def __init__(self) -> None:
        self.files: set[tuple[str, ...]] = set()
        self.folders: set[tuple[str, ...]] = set()

    def add(self, parts: tuple[str, ...], *, folder: bool) -> None:
        """Raises RuntimeFailed."""
        shown = repr("/".join(parts)[:120])
        above = [parts[:count] for count in range(1, len(parts) + folder)]
        if not folder and parts in self.files:
            raise _bad(f"{shown} twice")
        if not self.files.isdisjoint(above) or (not folder and parts in self.folders):
            raise _bad(f"{shown} as a file and as a folder")
        self.folders.update(above)
        if not folder:
            self.files.add(parts)


def _folder(root: Path, parts: tuple[str, ...]) -> Path:
    path = root
    for part in parts:
        path = path / part
        if not path.is_dir():
            path.mkdir()
            path.chmod(0o755)  # whatever the umask; a container's program may be another user
    return path


def _copy(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    folder: Path | None,
    parts: tuple[str, ...],
    bounds: Bounds,
) -> None:
    source = archive.extractfile(member)
    assert source is not None  # noqa: S101  (it is a plain file)
    if folder is None:
        while source.read(CHUNK):
            pass
        return
    path = _folder(folder, parts[:-1]) / parts[-1]
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as target:
        while True:
            chunk = source.read(CHUNK)
            if not chunk:
                break
            _leave_room(folder, len(chunk), bounds)
            target.write(chunk)
        os.fchmod(target.fileno(), 0o755 if member.mode & 0o100 else 0o644)
        target.flush()
        os.fsync(target.fileno())


def _leave_room(folder: Path, size: int, bounds: Bounds) -> None:
    if shutil.disk_usage(folder).free < size + bounds.free_mib * MIB:
        raise OSError(errno.ENOSPC, f"less than {bounds.free_mib} MiB would be left")


class _Guarded(io.RawIOBase):
    """What comes out of the packing, in bounds: not much more than the caller expects next, and not
    too much out of little.
    """

    def __init__(self, packed: gzip.GzipFile, stream: BinaryIO, bounds: Bounds) -> None:
        super().__init__()
        self.packed, self.stream, self.bounds = packed, stream, bounds
        self.out, self.allowed = 0, HEADERS + PADDING

    def allow(self, size: int) -> None:
        """Let so much of a file's content, and the headers after it, be read from now on."""
        self.allowed = self.out + size + HEADERS + PADDING

    def read(self, size: int = -1) -> bytes:
        chunk = self.packed.read(size)
        self.out += len(chunk)
        if self.out > self.allowed:
            raise _bad("headers beyond all measure")
        if self.out > self.bounds.any_ratio + self.bounds.ratio * self.stream.tell():
            raise _bad(f"content packed more than {self.bounds.ratio} to 1, as no model's is")
        return chunk


@contextlib.contextmanager
def _named_problems() -> Iterator[None]:
    try:
        yield
    except BAD_ARCHIVE as error:
        raise RuntimeFailed(
            f"The model's files are no whole tar.gz ({error}); pack them by "
            "tar -czf model.tar.gz -C FOLDER .",
            code="bad_files",
        ) from None


def _bad(what: str) -> RuntimeFailed:
    return RuntimeFailed(f"The model's tar.gz holds {what}.", code="bad_files")
