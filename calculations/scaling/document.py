"""A study of scaling for programs: one document, and one table."""

from __future__ import annotations

from typing import Any

from calculations.exports.tables import Head, Table
from calculations.scaling import prices
from calculations.scaling.figures import charts
from calculations.scaling.law import Law
from calculations.scaling.study import Part, Row, Study

SCHEMA = "labportal-scaling/1"
HEADS = (
    Head("work", "Work"),
    Head("ranks", "Ranks"),
    Head("runs", "Runs"),
    Head("ready_s", "Start until all ranks are ready", "s"),
    Head("work_s", "Work alone", "s"),
    Head("reduced_s", "Start until the reduced result", "s"),
    Head("reduced_low_s", "shortest", "s"),
    Head("reduced_high_s", "longest", "s"),
    Head("ended_s", "Start to end", "s"),
    Head("speed_up", "Speed-up"),
    Head("work_speed_up", "Speed-up of the work"),
    Head("efficiency", "Efficiency"),
    Head("straggling", "Slowest rank / median rank"),
    Head("peak_mib", "Peak memory of a rank", "MiB"),
    Head("core_hours", "Core-hours"),
    Head("gpu_hours", "GPU-hours"),
    Head("price", "Price on the cluster"),
    Head("function_mib", "Memory billed a function", "MB"),
    Head("function_s", "Time billed a function", "s"),
    Head("functions_price", "Price as functions", "USD"),
    Head("functions_why_not", "No functions, because"),
)
NAMES = [head.name for head in HEADS]


def values_of(row: Row) -> list[Any]:
    """In the order of HEADS."""
    point, rented, called = row.point, row.rented, row.functions
    return [
        row.series.label,
        point.ranks,
        len(point.runs),
        point.ready_s.median,
        point.work_s.median,
        point.reduced_s.median,
        point.reduced_s.low,
        point.reduced_s.high,
        point.ended_s.median,
        row.speed_up,
        row.work_speed_up,
        row.efficiency,
        point.straggling.median if point.straggling else None,
        point.peak_mib,
        rented.core_hours,
        rented.gpu_hours,
        rented.price,
        called.memory_mib,
        called.billed_s,
        None if called.why_not else called.price,
        called.why_not,
    ]


def table(study: Study) -> Table:
    """A row for each number of ranks of each work."""
    rows = [values_of(row) for part in study.parts for row in part.rows]
    return Table("scaling", "Scaling", HEADS, rows)


def document(study: Study) -> dict[str, Any]:
    said = study.prices
    return {
        "schema": SCHEMA,
        "calculations": [
            {"id": c.pk, "number": c.number, "name": c.name, "url": c.get_absolute_url()}
            for c in study.calculations
        ],
        "prices": {
            "core_hour": said.core_hour,
            "gpu_hour": said.gpu_hour,
            "source": said.source,
            "deadline_s": said.deadline_s,
            "lambda": {
                "gb_second_usd": prices.GB_SECOND,
                "request_usd": prices.REQUEST,
                "transition_usd": prices.TRANSITION,
                "memory_mib": said.memory_mib,
            },
        },
        "works": [_part(part) for part in study.parts],
        "runs_left_out": study.more,
        "charts": charts(study),
    }


def _part(part: Part) -> dict[str, Any]:
    best, work = part.cheapest, part.series.work
    return {
        "label": part.series.label,
        "work": {name: getattr(work, name) for name in work.__dataclass_fields__},
        "points": [
            dict(zip((h.name for h in HEADS), values_of(r), strict=True)) for r in part.rows
        ],
        "start_up": _law(part.series.law),
        "cheapest": {
            "on_cluster": _ranks(best.rented),
            "on_cluster_in_time": _ranks(best.rented_in_time),
            "as_functions": _ranks(best.functions),
            "as_functions_in_time": _ranks(best.functions_in_time),
        },
    }


def _ranks(row: Row | None) -> int | None:
    return row.point.ranks if row else None


def _law(law: Law | None) -> dict[str, Any] | None:
    if law is None:
        return None
    return {
        "law": f"a + b·{law.term}",
        "a_s": law.a,
        "b_s": law.b,
        "residual_s": law.residual,
        "other_residual_s": law.other_residual,
        "points": law.points,
        "settled": law.settled,
    }
