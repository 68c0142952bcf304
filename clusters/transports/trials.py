"""The button “Test” of a way to a cluster, whichever way it is: steps one after the other until one
fails, each with what was found or what to do about it. What may fail on a way is a Trouble.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Trouble(Exception):
    """`words`: what happened, in one sentence; `remedy`: what the admin can do."""

    code: StrEnum
    words: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.words} {self.remedy}".strip()


@dataclass(slots=True)
class Step:
    """`ok` is None for what was not done."""

    name: str
    ok: bool | None
    found: str = ""
    remedy: str = ""


def walk(
    deeds: Mapping[str, Callable[[], str]],
    keep: Callable[[list[dict[str, Any]]], None],
    otherwise: Callable[[Exception], Trouble],
) -> Trouble | None:
    """Do deeds by their names, and return what stopped it. Each says what it found; `keep` is given
    all steps so far after each. `otherwise` names what is no Trouble.
    """
    steps: list[dict[str, Any]] = []
    for name, deed in deeds.items():
        trouble = None
        try:
            step = Step(name, True, deed())
        except Exception as error:
            trouble = error if isinstance(error, Trouble) else otherwise(error)
            step = Step(name, False, trouble.words, trouble.remedy)
        steps.append(asdict(step))
        keep(steps)
        if trouble is not None:
            return trouble
    return None


def unforeseen(code: StrEnum, error: Exception) -> Trouble:
    """Name a defect of the portal; the log has the whole of it."""
    log.error("a test failed", exc_info=error)
    return Trouble(code, f"The portal failed: {type(error).__name__}.", "Its log says more.")


def with_left(steps: Sequence[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the steps that were done, and those of these names that were not."""
    return [*steps, *(asdict(Step(name, None)) for name in names[len(steps) :])]
