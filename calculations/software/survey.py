"""Reads an output of any size in constant memory and at the speed of the disk.

A small file is read line by line. In a large one a first pass over blocks of bytes finds where
each geometry begins and which lines tell of a failure; then only the beginning, the end, evenly
chosen geometries between them and those lines are read. What is counted is counted exactly.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from calculations.software.reading import lines

WHOLE = 8 * 2**20  # bytes: files up to this are read line by line
BLOCK = 2**20
MAX_STEPS = 1000
MAX_BYTES = 12 * 2**20  # what is read line by line of a large file
LAST = 3  # geometries at the end that are always read
MAX_ALARMS = 500  # of each word


@dataclass(frozen=True)
class Landmarks:
    """What to look for, as the program prints it.

    `step` stands in the line with which a geometry begins, which `step_line` matches as a whole;
    `counted` are words whose number is kept; `alarms` are words, in small letters, that tell of a
    failure after which the program goes on. What ends it stands at the end, which is always read.
    """

    step: bytes
    step_line: re.Pattern[bytes]
    counted: tuple[bytes, ...]
    alarms: tuple[bytes, ...]


class Part(NamedTuple):
    """A piece of the file. `steps` and `counts` are what stood before it, None where unknown."""

    start: int
    length: int
    first_line: int
    steps: int | None = None
    counts: tuple[int, ...] = ()


class Reader(Protocol):
    """Takes the lines one by one; `jump` says that lines were left out before the next one."""

    def feed(self, number: int, text: str) -> None: ...

    def jump(self, part: Part) -> None: ...


def read_through(path: Path, landmarks: Landmarks, reader: Reader) -> None:
    """Feed the reader the file, or the chosen parts of a large one; nothing if unreadable."""
    try:
        if not path.is_file():
            return
        parts: Iterable[Part] = (
            choose(path, landmarks) if path.stat().st_size > WHOLE else (Part(0, -1, 1, 0),)
        )
    except OSError:
        return
    end = 0
    for part in parts:
        if part.start != end:
            reader.jump(part)
        end = part.start + part.length
        for number, text in lines(path, part.start, part.length, part.first_line):
            reader.feed(number, text)


def places_of(path: Path, head: bytes) -> Iterator[int]:
    """Yield where the lines begin that start with `head`, as bytes from the start of the file."""
    try:
        if not path.is_file():
            return
        with path.open("rb", buffering=0) as file:
            rest, place = b"\n", -1
            while data := file.read(BLOCK):
                data = rest + data
                found = data.find(b"\n" + head)
                while found >= 0:
                    yield place + found + 1
                    found = data.find(b"\n" + head, found + 1)
                rest = data[-len(head) :]
                place += len(data) - len(rest)
    except OSError:
        return


def choose(path: Path, landmarks: Landmarks) -> list[Part]:
    """Return the parts of a large file that are worth reading, in their order."""
    survey = _Survey(landmarks)
    with path.open("rb", buffering=0) as file:
        rest, place = b"", 0
        while data := file.read(BLOCK):
            data = rest + data
            # A line longer than a block is looked through in pieces.
            end = data.rfind(b"\n") + 1 or len(data)
            rest = data[end:]
            survey.look(data[:end], place)
            place += end
        survey.look(rest, place)
        place += len(rest)
    return _merged(survey.steps(place), survey.alarms)


def _merged(steps: list[Part], alarms: Iterable[Part]) -> list[Part]:
    """The chosen steps, and between them the alarms that do not lie in one of them."""
    parts: list[Part] = []
    for part in sorted([*steps, *alarms], key=lambda part: (part.start, part.steps is None)):
        if not parts or part.start >= parts[-1].start + parts[-1].length:
            parts.append(part)
    return parts


@dataclass
class _Survey:
    """The first pass. Of the steps every `stride`-th is kept, and the last ones."""

    landmarks: Landmarks
    alarms: list[Part] = field(default_factory=list)
    _kept: list[Part] = field(default_factory=list)
    _last: deque[Part] = field(default_factory=lambda: deque(maxlen=LAST))
    _stride: int = 1
    _begun: int = 0
    _line: int = 1
    _open: Part = field(default_factory=lambda: Part(0, 0, 1, 0))
    _counts: list[int] = field(default_factory=list)
    _rung: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._counts = [0] * len(self.landmarks.counted)
        self._open = Part(0, 0, 1, 0, tuple(self._counts))

    def look(self, block: bytes, place: int) -> None:
        """Take in the next block, which begins at the byte `place` of the file."""
        self._listen(block, place)
        before = 0
        for start in self._beginnings(block):
            self._count(block, before, start)
            self._close(place + start)
            self._begun += 1
            self._open = Part(place + start, 0, self._line, self._begun - 1, tuple(self._counts))
            before = start
        self._count(block, before, len(block))

    def _beginnings(self, block: bytes) -> Iterator[int]:
        found = block.find(self.landmarks.step)
        while found >= 0:
            start = block.rfind(b"\n", 0, found) + 1
            if self.landmarks.step_line.match(block, start):
                yield start
            found = block.find(self.landmarks.step, found + len(self.landmarks.step))

    def _count(self, block: bytes, start: int, end: int) -> None:
        self._line += block.count(b"\n", start, end)
        for i, word in enumerate(self.landmarks.counted):
            self._counts[i] += block.count(word, start, end)

    def _close(self, end: int) -> None:
        """The open step is complete: keep it among the last, and where its turn has come."""
        part = self._open._replace(length=end - self._open.start)
        if not self._kept:
            self._kept.append(part)  # the head of the file
            return
        self._last.append(part)
        number = self._begun - 1
        if number % self._stride:
            return
        if len(self._kept) > MAX_STEPS:
            self._kept[1:] = self._kept[1::2]
            self._stride *= 2
            if number % self._stride:
                return
        self._kept.append(part)

    def _listen(self, block: bytes, place: int) -> None:
        small = block.lower()
        for word in self.landmarks.alarms:
            found = small.find(word)
            while found >= 0 and self._rung.get(word, 0) < MAX_ALARMS:
                self._rung[word] = self._rung.get(word, 0) + 1
                start = block.rfind(b"\n", 0, found) + 1
                end = block.find(b"\n", found) + 1 or len(block)
                number = self._line + block.count(b"\n", 0, start)
                self.alarms.append(Part(place + start, end - start, number))
                found = small.find(word, end)

    def steps(self, end: int) -> list[Part]:
        """Return head, chosen steps and last steps of the file, which ends at the byte `end`."""
        self._close(end)
        head, middle = self._kept[0], self._kept[1:]
        tail = [part for part in self._last if part.start > head.start]
        middle = [part for part in middle if not tail or part.start < tail[0].start]
        total = sum(part.length for part in middle)
        if total > MAX_BYTES:
            middle = middle[:: -(-total // MAX_BYTES)]
        return [head, *middle, *tail]
