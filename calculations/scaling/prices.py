"""What runs cost: by core-hours and GPU-hours, and as functions of AWS Lambda.

Lambda bills the memory that a function was given, not what it used, for the time until it returns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from calculations.scaling.measured import Point, Series
from labportal.common.errors import InvalidInput

GB_SECOND = 0.0000166667  # dollars
REQUEST = 2e-7
TRANSITION = 0.025 / 1000
TRANSITIONS, TRANSITIONS_OF_A_RANK = 4, 2  # of a state machine with a distributed map
LEAST_MIB, MOST_MIB = 128, 10_240
CORE_MIB = 1769  # so much memory brings a whole core
LONGEST_S = 900
SIZES = (512, 1024, 1536, CORE_MIB, 2048, 3072, 4096, 6144, 8192, MOST_MIB)
ENTERED = "as entered"
MOST_PRICE, MOST_DEADLINE = 1e6, 1e8


@dataclass(frozen=True, slots=True)
class Prices:
    """An hour of a core and of a GPU, None where nobody has said; `source` names who has.

    `memory_mib`: of a function, None for the least that a rank needs.
    """

    core_hour: float | None = None
    gpu_hour: float | None = None
    source: str = ""
    memory_mib: int | None = None
    deadline_s: float | None = None

    @property
    def known(self) -> bool:
        return self.core_hour is not None or self.gpu_hour is not None


@dataclass(frozen=True, slots=True)
class Rented:
    """`price` None where no price is known; cores and GPUs are held until the program ends."""

    core_hours: float
    gpu_hours: float
    price: float | None


@dataclass(frozen=True, slots=True)
class Functions:
    """One rank a function. `why_not`: what Lambda would refuse; then the price means nothing."""

    memory_mib: int
    used_mib: float
    billed_s: float
    price: float
    why_not: str = ""


def read(query: Mapping[str, str], *, offered: Prices) -> Prices:
    """Prices as entered, else as offered. Raises InvalidInput naming every wrong field."""
    errors: dict[str, str] = {}
    core = _number(query, "core_hour", 0, MOST_PRICE, errors)
    gpu = _number(query, "gpu_hour", 0, MOST_PRICE, errors)
    memory = _number(query, "memory", LEAST_MIB, MOST_MIB, errors)
    deadline = _number(query, "deadline", 0.001, MOST_DEADLINE, errors)
    if memory is not None and memory != int(memory):
        errors["memory"] = "must be a whole number of MB"
    if errors:
        raise InvalidInput(errors=errors)
    entered = core is not None or gpu is not None
    return Prices(
        core if core is not None else offered.core_hour,
        gpu if gpu is not None else offered.gpu_hour,
        ENTERED if entered else offered.source,
        int(memory) if memory is not None else None,
        deadline,
    )


def _number(
    query: Mapping[str, str], name: str, least: float, most: float, errors: dict[str, str]
) -> float | None:
    said = str(query.get(name, "")).strip()
    if not said:
        return None
    try:
        value = float(said[:40])
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        errors[name] = f"must be a number from {least:g} to {most:,.0f}"
        return None
    return value


def rented(series: Series, point: Point, prices: Prices) -> Rented:
    hours = point.ranks * point.ended_s.median / 3600
    cores, gpus = hours * series.work.threads, hours if series.work.gpus else 0.0
    price = (prices.core_hour or 0) * cores + (prices.gpu_hour or 0) * gpus
    return Rented(cores, gpus, price if prices.known else None)


def functions(series: Series, point: Point, memory_mib: int | None) -> Functions:
    """The same ranks as functions of Lambda; each is billed until the reduced result is there.

    Less memory than a rank's threads need brings fewer cores: the time is stretched by that.
    """
    needed = max(math.ceil(point.peak_mib), LEAST_MIB)
    whole = CORE_MIB * series.work.threads
    memory = memory_mib or min(max(needed, whole), max(needed, MOST_MIB))
    seconds = point.reduced_s.median * max(1.0, whole / memory)
    billed = math.ceil(seconds * 1000) / 1000
    transitions = TRANSITIONS + TRANSITIONS_OF_A_RANK * point.ranks
    price = point.ranks * (billed * memory / 1024 * GB_SECOND + REQUEST)
    why = ""
    if series.work.gpus:
        why = "Lambda has no GPUs"
    elif needed > min(memory, MOST_MIB):
        why = f"a rank needs {needed:,} MB"
    elif billed > LONGEST_S:
        why = "a function may take 15 minutes"
    return Functions(memory, point.peak_mib, billed, price + transitions * TRANSITION, why)
