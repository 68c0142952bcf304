"""The settings of a batch scheduler: section [scheduler] of the agent's file, read and checked."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields

ALSO_CALLED = {"queue": "partition"}  # by PBS
LARGEST = {"max_jobs": 10_000, "array_max": 10_000, "misses": 100, "submit_tries": 100}


@dataclass(frozen=True)
class Options:
    """`poll_s`     between two questions about jobs
    `misses`      so often a job must be absent, over at least `missing_s`, before it is gone
    `timeout_s`   for one call of the scheduler's programs
    `patience_s`  so long the books, or an exit marker on a shared disk, may take to be seen
    `submit_tries`  so many submissions may stay without an answer; the first is made again once the
                  job was looked up for `submit_pause_s` and never seen, each further one after
                  twice the time
    `max_jobs`    that the agent has in the queue at once; `array_max` of them as one array
    `partition` (or `queue`), `account`, `qos`  for runs that name none
    `extra`       further options for the submitting command, each word on its own
    `setup`       a shell file that is read before the program starts (`module load …`)
    `path`        folders in which the scheduler's programs are, before those of PATH
    """

    poll_s: float = 10.0
    misses: int = 3
    missing_s: float = 60.0
    timeout_s: float = 30.0
    patience_s: float = 60.0
    submit_tries: int = 5
    submit_pause_s: float = 20.0
    max_jobs: int = 200
    array_max: int = 500
    partition: str = ""
    account: str = ""
    qos: str = ""
    extra: tuple[str, ...] = ()
    setup: str = ""
    path: str = ""

    @classmethod
    def read(cls, section: Mapping[str, str]) -> Options:
        """Raises ValueError, which names the setting and what it should be."""
        kinds = {field.name: type(field.default) for field in fields(cls)}
        values = {}
        for called, text in section.items():
            name = ALSO_CALLED.get(called, called)
            if name not in kinds:
                known = ", ".join(sorted({*kinds, *ALSO_CALLED}))
                raise ValueError(f"[scheduler] {name!r:.40} is unknown; there are {known}")
            if name in values:
                raise ValueError(f"[scheduler] {called} says the same as {name}: name one of them")
            values[name] = _value(name, kinds[name], text.strip())
        return cls(**values)


def _value(name: str, kind: type, text: str) -> object:
    if kind is tuple:
        return _words(name, text)
    if kind is str:
        if not text.isprintable():
            raise ValueError(f"[scheduler] {name} must be one line")
        return text
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if not 0 < value <= LARGEST.get(name, 86_400):
        most = LARGEST.get(name, 86_400)
        raise ValueError(f"[scheduler] {name} = {text!r:.40} is no number above 0, at most {most}")
    return value


def _words(name: str, text: str) -> tuple[str, ...]:
    """Options of a command, one or several a line. Raises ValueError for what is no option."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"[scheduler] {name} cannot be read: {error}") from None
    if words and not words[0].startswith("-"):
        raise ValueError(f"[scheduler] {name} = {words[0]!r:.40} must begin with an option (-…)")
    if any(not word.isprintable() for word in words):
        raise ValueError(f"[scheduler] {name} must hold printable characters alone")
    return words
