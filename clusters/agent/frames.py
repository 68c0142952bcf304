"""Documents over a pipe that others write to as well: a login's banner, a profile that prints.

A frame is a line with length and checksum, then the document's bytes. Whatever stands before a
frame is noise, kept for whoever has to find out why none came. The portal and the agent use this.
"""

from __future__ import annotations

import contextlib
import re
import threading
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

from clusters.agent.protocol import MAX_BODY, BadDocument, decode, encode

HEAD = re.compile(rb"#labportal (\d{1,9}) ([0-9a-f]{8})\r?\n")
LONGEST_LINE = 4096
MAX_NOISE = 256 * 1024
KEPT_NOISE = 2000
GZIP = b"\x1f\x8b"


class Writer:
    """Writes whole frames; any thread may."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, document: Mapping[str, Any]) -> None:
        """Raises OSError and ValueError where the other end is gone."""
        body, _ = encode(document)
        head = f"\n#labportal {len(body)} {zlib.crc32(body):08x}\n".encode()
        with self._lock:
            self._stream.write(head + body)
            self._stream.flush()

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stream.close()


class Reader:
    """Reads frames; one thread does."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._skipped = 0
        self.noise = ""  # the last of what came between frames

    def read(self) -> dict[str, Any] | None:
        """Return the next document, None at the end. Raises BadDocument, OSError."""
        while True:
            line = self._stream.readline(LONGEST_LINE)
            if not line:
                return None
            head = HEAD.fullmatch(line)
            if head is not None:
                return self._document(int(head[1]), int(head[2], 16))
            self._skip(line)

    def _document(self, length: int, checksum: int) -> dict[str, Any] | None:
        if length > MAX_BODY:
            raise BadDocument(f"a frame of {length} bytes is longer than {MAX_BODY}")
        body = self._stream.read(length)
        if len(body) < length:
            return None
        if zlib.crc32(body) != checksum:
            raise BadDocument("a frame was damaged on its way")
        self._skipped = 0
        return decode(body, "gzip" if body.startswith(GZIP) else None)

    def _skip(self, line: bytes) -> None:
        self._skipped += len(line)
        if line.strip():
            self.noise = (self.noise + line.decode("utf-8", errors="replace"))[-KEPT_NOISE:]
        if self._skipped > MAX_NOISE:
            raise BadDocument("what comes is no exchange; the login prints too much")
