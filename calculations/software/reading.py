"""Reading text that may be huge, cut, or garbled: bounded lines and numbers, never an exception.

Fortran prints asterisks where a number does not fit, and lets columns touch; both are expected.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

LONGEST_LINE = 64 * 1024
REAL = re.compile(
    r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[EeDd][-+]?\d+|[-+]\d{3})?|\*+|[-+]?nan|[-+]?inf(?:inity)?",
    re.IGNORECASE,
)
FIXED_6 = re.compile(r"[-+]?\d*\.\d{6}|\*+|[-+]?nan|[-+]?inf(?:inity)?", re.IGNORECASE)

Item = TypeVar("Item")


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of a text file, a cut last line too; nothing where it is unreadable.

    Of an overlong line only the beginning. NUL characters are dropped, foreign bytes replaced.
    """
    try:
        if not path.is_file():
            return
        with path.open("rb") as file:
            count = 0
            while chunk := file.readline(LONGEST_LINE):
                count += 1
                start = chunk
                while not chunk.endswith(b"\n") and (chunk := file.readline(LONGEST_LINE)):
                    pass
                yield (
                    count,
                    start.replace(b"\0", b"").decode("utf-8", errors="replace").rstrip("\r\n"),
                )
    except OSError:
        return


def tokens(path: Path) -> Iterator[str]:
    """Yield the words of a file as a stream."""
    for _, line in lines(path):
        yield from line.split()


def real(text: str) -> float | None:
    """Return a finite number, None for asterisks or NaN. Understands 1.0D-3 and 0.1-300."""
    text = text.strip()
    if re.fullmatch(r"[-+]?[\d.]+[-+]\d{3}", text):
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
    """A list of at most `limit` items: when full, every other one goes, but never the last."""

    def __init__(self, limit: int = 4000) -> None:
        self._limit = max(2, limit)
        self._items: list[Item] = []
        self._stride = 1
        self._last: Item | None = None
        self.count = 0

    def append(self, item: Item) -> None:
        if self.count % self._stride == 0:
            if len(self._items) >= self._limit:
                self._items = self._items[::2]
                self._stride *= 2
            if self.count % self._stride == 0:
                self._items.append(item)
        self._last = item
        self.count += 1

    @property
    def last(self) -> Item | None:
        return self._last

    @property
    def items(self) -> list[Item]:
        if self._last is None or (self._items and self._items[-1] is self._last):
            return list(self._items)
        return [*self._items, self._last]
