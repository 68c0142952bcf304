"""Reading text that may be huge, cut, or garbled: bounded lines and numbers, never an exception.

Fortran prints asterisks where a number does not fit, and lets columns touch; both are expected.
"""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

LONGEST_LINE = 64 * 1024
LONGEST_END = 4 * 1024 * 1024
BLOCK = 256 * 1024
REAL = re.compile(
    r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[EeDd][-+]?\d+|[-+]\d{3})?|\*+|[-+]?nan|[-+]?inf(?:inity)?",
    re.IGNORECASE,
)
FIXED_6 = re.compile(r"[-+]?\d*\.\d{6}|\*+|[-+]?nan|[-+]?inf(?:inity)?", re.IGNORECASE)
_NO_EXPONENT = re.compile(r"[-+]?[\d.]+[-+]\d{3}")

Item = TypeVar("Item")


def lines(
    path: Path, start: int = 0, length: int = -1, first: int = 1
) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of a text file, a cut last line too; nothing where it is unreadable.

    Of an overlong line only the beginning. NUL characters are dropped, foreign bytes replaced.
    `start` and `length` name a part in bytes, to the end where negative, whose first line has the
    number `first`.
    """
    number, rest, left = first, b"", length
    try:
        if not path.is_file():
            return
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            while data := file.read(BLOCK if left < 0 else min(BLOCK, left)):
                left = left if left < 0 else left - len(data)
                end = data.rfind(b"\n") + 1
                if not end:  # within an overlong line
                    rest = (rest + data)[:LONGEST_LINE]
                    continue
                for line in _split(rest + data[: end - 1]):
                    yield number, line
                    number += 1
                rest = data[end:]
            if rest:
                yield number, _split(rest)[0]
    except OSError:
        return


def _split(data: bytes) -> list[str]:
    if b"\0" in data:
        data = data.replace(b"\0", b"")
    text = data.decode("utf-8", errors="replace")
    if "\r" in text:
        return [line[:LONGEST_LINE].rstrip("\r") for line in text.split("\n")]
    return [line[:LONGEST_LINE] for line in text.split("\n")]


def end_of(path: Path) -> str:
    """Return the end of a text file, empty where it is unreadable."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - LONGEST_END))
            return stream.read().decode("utf-8", errors="replace").replace("\0", "")
    except OSError:
        return ""


def last_line(text: str) -> str:
    """Return the last line that is not blank, empty where there is none."""
    found = [line.strip() for line in text.splitlines() if line.strip()]
    return found[-1][:300] if found else ""


def json_object(path: Path, most: int) -> dict[str, Any] | None:
    """Return a document of at most `most` bytes, None where it is unreadable, cut, or no object."""
    try:
        with path.open("rb") as stream:
            content = stream.read(most + 1)
        document = json.loads(content.decode("utf-8", errors="replace"))
    except (OSError, ValueError, RecursionError):
        return None
    return document if len(content) <= most and isinstance(document, dict) else None


def tokens(path: Path) -> Iterator[str]:
    """Yield the words of a file as a stream."""
    for _, line in lines(path):
        yield from line.split()


def real(text: str) -> float | None:
    """Return a finite number, None for asterisks or NaN. Understands 1.0D-3 and 0.1-300."""
    if "_" in text or not text.isascii():  # what Python takes for a number, but no program prints
        return None
    try:
        value = float(text)
    except ValueError:
        text = text.strip()
        if _NO_EXPONENT.fullmatch(text):
            text = f"{text[:-4]}E{text[-4:]}"
        try:
            value = float(text.replace("D", "E").replace("d", "e"))
        except ValueError:
            return None
    return value if math.isfinite(value) else None


def integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[-+]?\d{1,12}", text.strip()) and text.isascii() else None


def reals(text: str) -> list[float | None]:
    """Return the numbers in a text in their order, None for each that cannot be read."""
    return [real(found) for found in REAL.findall(text)]


class Thinned(Generic[Item]):
    """A list of at most `limit` items: when full, every other one goes, but never the last.

    `count` is how many there were, those included that were never looked at; `recent` holds the
    last ones without a gap.
    """

    def __init__(self, limit: int = 4000, recent: int = 8) -> None:
        self._limit = max(2, limit)
        self._items: list[Item] = []
        self._stride = 1
        self._given = 0
        self._unseen = 0
        self.recent: deque[Item] = deque(maxlen=recent)

    def append(self, item: Item) -> None:
        if self._given % self._stride == 0:
            if len(self._items) >= self._limit:
                self._items = self._items[::2]
                self._stride *= 2
            if self._given % self._stride == 0:
                self._items.append(item)
        self.recent.append(item)
        self._given += 1

    def skip_to(self, count: int) -> None:
        """Note that, with those that were left out, there were `count` so far."""
        self._unseen = max(self._unseen, count - self._given)

    @property
    def count(self) -> int:
        return self._given + self._unseen

    @property
    def last(self) -> Item | None:
        return self.recent[-1] if self.recent else None

    @property
    def items(self) -> list[Item]:
        last = self.last
        if last is None or (self._items and self._items[-1] is last):
            return list(self._items)
        return [*self._items, last]


def thinned(label: str, kept: int, count: int, what: str) -> str:
    """Return the label of a table, which says so where it holds but some of `count` rows."""
    return label if kept >= count else f"{label} ({kept:,} of {count:,} {what})"
