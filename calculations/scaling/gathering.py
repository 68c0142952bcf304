"""Reads what runs told of their ranks, in three queries, however many runs there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from calculations.comparison import asked as asking
from calculations.models import Calculation, Quantity, Run
from calculations.scaling.measured import Measured, Work
from calculations.scaling.prices import Prices
from calculations.software.base import Software
from calculations.states import RunState
from calculations.wording import software_of
from labportal.accounts.models import User
from labportal.common.errors import InvalidInput

MOST_RUNS = 600
#: Whoever names its ranks gives these, too; the others may be missing.
NEEDED = ("samples", "start_s", "wall_s", "reduced_s", "total_s")
FURTHER = (
    "partitions",
    "batch_size",
    "threads",
    "device",
    "number_format",
    "peak_mib",
    "straggling",
    "idle_ranks",
    "lost_ranks",
    "moved_partitions",
)


def scales(calculation: Calculation) -> Software | None:
    """The plug-in, where it tells over how many ranks the work went."""
    software = software_of(calculation)
    return software if software is not None and software.ranks else None


def with_others(calculation: Calculation, said: str, user: User) -> list[Calculation]:
    """The calculation and those named beside it. Raises InvalidInput naming the field `with`, and
    NotFound where the person does not see one of them.
    """
    if not said.strip():
        return [calculation]
    try:
        asked = asking.read([str(calculation.pk), said[:400]], {})
    except InvalidInput as error:
        raise InvalidInput(error.message, field="with") from None
    found = asking.calculations_of(asked, user)
    for one in found:
        if scales(one) is None:
            words = f"{one.number} has no ranks: its software does not tell of any."
            raise InvalidInput(words, field="with")
    return found


def measured_of(calculations: Sequence[Calculation]) -> tuple[list[Measured], Prices, int]:
    """The measured runs, the price of the first cluster that has one, and how many valid runs were
    beyond MOST_RUNS.
    """
    rows = Run.objects.filter(calculation__in=calculations, state=RunState.VALID)
    rows = rows.select_related("cluster").order_by("calculation", "index")
    runs = {run.pk: run for run in rows[:MOST_RUNS]}
    more = max(0, rows.count() - MOST_RUNS) if len(runs) == MOST_RUNS else 0
    ranks = {c.pk: software.ranks for c in calculations if (software := scales(c))}
    names = {*NEEDED, *FURTHER, *ranks.values()}
    told: dict[UUID, dict[str, Any]] = {key: {} for key in runs}
    for q in Quantity.objects.filter(run__in=runs, name__in=names, analysis=None).order_by():
        told[q.run_id][q.name] = q.value
    found = []
    for key, run in runs.items():
        one = _measured(run, told[key], ranks.get(run.calculation_id, ""))
        if one is not None:
            found.append(one)
    order = {c.pk: place for place, c in enumerate(calculations)}
    found.sort(key=lambda one: (order[one.calculation], one.run))
    return found, _prices(list(runs.values())), more


def _measured(run: Run, told: Mapping[str, Any], ranks: str) -> Measured | None:
    """None where a run lacks what a comparison needs."""
    times = [told.get(name) for name in NEEDED]
    count = told.get(ranks)
    if not isinstance(count, float) or count < 1 or not all(isinstance(t, float) for t in times):
        return None
    if told["reduced_s"] <= 0:
        return None
    return Measured(
        calculation=run.calculation_id,
        run=run.index + 1,
        work=Work(
            samples=int(told["samples"]),
            partitions=_whole(told, "partitions"),
            batch_size=_whole(told, "batch_size"),
            threads=max(1, _whole(told, "threads")),
            number_format=str(told.get("number_format") or ""),
            gpus=str(told.get("device", "")).startswith("cuda"),
            cluster=run.cluster.name if run.cluster else "",
        ),
        ranks=int(count),
        ready_s=told["start_s"],
        work_s=told["wall_s"],
        reduced_s=told["reduced_s"],
        ended_s=told["total_s"],
        peak_mib=told.get("peak_mib") or 0.0,
        straggling=told.get("straggling"),
        idle_ranks=_whole(told, "idle_ranks"),
        lost_ranks=_whole(told, "lost_ranks"),
        moved_partitions=_whole(told, "moved_partitions"),
    )


def _whole(told: Mapping[str, Any], name: str) -> int:
    return int(told.get(name) or 0)


def _prices(runs: Sequence[Run]) -> Prices:
    for run in runs:
        cluster = run.cluster
        if cluster and (cluster.price_core_hour is not None or cluster.price_gpu_hour is not None):
            core, gpu = cluster.price_core_hour, cluster.price_gpu_hour
            return Prices(
                None if core is None else float(core),
                None if gpu is None else float(gpu),
                f"of {cluster.name}",
            )
    return Prices()
