"""Zip archives written file by file, in constant memory, with the size and digest of each."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Self

from calculations.exports.names import Names
from labportal.common.storage import CHUNK, storage

LEVEL = 4
Live = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that stands in the archive."""

    path: str
    size: int
    sha256: str


class Archive:
    """`with Archive(stream) as archive:`; names are made harmless, and each is there once."""

    def __init__(self, stream: BinaryIO, live: Live = lambda: None) -> None:
        self._zip = zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL)
        self._names, self._live = Names(), live

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    def add(self, folder: str, name: str, content: bytes | str) -> Entry:
        """`folder` is "" or ends with a slash, and is ours."""
        held = content.encode() if isinstance(content, str) else content
        path = self._names.unique(folder, name)
        self._zip.writestr(path, held)
        self._live()
        return Entry(path, len(held), hashlib.sha256(held).hexdigest())

    def add_stored(self, folder: str, name: str, key: str) -> Entry:
        """Copy a file of the store. Raises NotFound where it is no longer kept."""
        source = storage().open(key)
        path, digest, size = self._names.unique(folder, name), hashlib.sha256(), 0
        with closing(source), self._zip.open(path, "w", force_zip64=True) as target:
            while chunk := source.read(CHUNK):
                target.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                self._live()
        return Entry(path, size, digest.hexdigest())
