"""Runs as inference over ranks leaves them: measured values for pure tests, rows for pages."""

from __future__ import annotations

from typing import Any

from calculations.models import Calculation, Quantity, Run
from calculations.scaling.measured import Measured, Work
from labportal.accounts.models import User
from tests.calculations.factories import draft

WORK = Work(2048, 8, 128, 1, "fp32", False, "metis")


def measured(ranks: int, seconds: float, **more: Any) -> Measured:
    """`seconds` from the start to the reduced result; two of them pass until the work begins."""
    values = {
        "calculation": 1,
        "run": 1,
        "work": WORK,
        "ready_s": 2.0,
        "work_s": seconds - 2.0,
        "reduced_s": seconds,
        "ended_s": seconds + 1.0,
        "peak_mib": 500.0,
        "straggling": 1.2,
    }
    return Measured(ranks=ranks, **{**values, **more})


def calculation(
    person: User, times: dict[int, float], *, name: str = "Ranks", **words: Any
) -> Calculation:
    """A valid one with a run for each number of ranks."""
    made = draft(person, name=name, software="torch_inference")
    Calculation.objects.filter(pk=made.pk).update(state="valid", run_count=len(times))
    for index, (ranks, seconds) in enumerate(times.items()):
        run = Run.objects.create(calculation=made, index=index, state="valid")
        told = {
            "ranks": ranks,
            "samples": 2048,
            "partitions": 8,
            "batch_size": 128,
            "threads": 1,
            "start_s": 2.0 + 0.1 * ranks,
            "wall_s": seconds - 2.0 - 0.1 * ranks,
            "reduced_s": seconds,
            "total_s": seconds + 1.0,
            "peak_mib": 500.0,
            "straggling": 1.25,
            "device": "cpu",
            "number_format": "fp32",
            **words,
        }
        Quantity.objects.bulk_create(
            Quantity(calculation=made, run=run, name=key, label=key, **_column(value))
            for key, value in told.items()
            if value is not None
        )
    return Calculation.objects.get(pk=made.pk)


def _column(value: Any) -> dict[str, Any]:
    return {"text": value} if isinstance(value, str) else {"number": float(value)}
