"""What must hold before results are called checked: rules say what they saw in what is stored.

What is stored of many calculations is read in as many queries as that of one. They change nothing;
standing.py acts on what they say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q

from calculations.models import Attempt, Calculation, Dataset, Quantity, Run
from calculations.software.base import Software
from calculations.software.plausible import Plausible
from calculations.states import RunState
from calculations.wording import main_words, software_of, value_words

NOT_FINITE = (math.nan, math.inf, -math.inf)
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule's outcome. A `firm` one that fails bars a person from validating too."""

    name: str
    holds: bool
    words: str
    firm: bool = True

    @property
    def line(self) -> str:
        """The rule as a line of evidence."""
        return f"{'holds' if self.holds else 'FAILS'}: {self.words}"


@dataclass(slots=True)
class Stored:
    """What the rules look at. Runs go by their index: `bad` are not valid, `empty` have no results
    of their own, `nameless` no main result, `left_out` names what was not finite. `numbers` are the
    quantities by name, those across the runs apart.
    """

    count: int = 0
    bad: Sequence[tuple[int, str]] = ()
    empty: Sequence[int] = ()
    nameless: Sequence[int] = ()
    left_out: tuple[int, Sequence[Any]] | None = None
    numbers: list[Mapping[str, Any]] = field(default_factory=list)


def stored_of(calculations: Iterable[Calculation]) -> dict[int, Stored]:
    """Read what is stored of calculations, in a number of queries that neither they nor their runs
    change.
    """
    found = {calculation.pk: Stored() for calculation in calculations}
    own = {"run": OuterRef("pk"), "analysis": None}
    has_results = Exists(Quantity.objects.filter(**own)) | Exists(Dataset.objects.filter(**own))
    not_valid = ~Q(state=RunState.VALID)
    for row in (
        Run.objects.filter(calculation__in=found)
        .order_by()
        .values("calculation_id")
        .annotate(
            count=Count("pk"),
            bad=ArrayAgg("index", filter=not_valid, order_by="index", default=[]),
            states=ArrayAgg("state", filter=not_valid, order_by="index", default=[]),
            empty=ArrayAgg("index", filter=~has_results, order_by="index", default=[]),
            nameless=ArrayAgg("index", filter=Q(main_value=None), order_by="index", default=[]),
        )
    ):
        one = found[row["calculation_id"]]
        one.count, one.empty, one.nameless = row["count"], row["empty"], row["nameless"]
        one.bad = list(zip(row["bad"], row["states"], strict=True))
    current = Attempt.objects.filter(run__calculation__in=found, number=F("run__attempt"))
    odd = current.exclude(not_finite=[]).order_by("-run__index")
    for pk, *named in odd.values_list("run__calculation", "run__index", "not_finite"):
        found[pk].left_out = (named[0], named[1])  # the first run's comes last
    for row in (
        Quantity.objects.filter(calculation__in=found, number__isnull=False)
        .order_by()
        .values("calculation_id", "name", across=Q(run=None))
        .annotate(
            units=ArrayAgg("unit", distinct=True),
            named=Min("label"),
            least=Min("number"),
            most=Max("number"),
            count=Count("pk"),
            odd=Min(F("label"), filter=Q(number__in=NOT_FINITE)),
        )
    ):
        found[row["calculation_id"]].numbers.append(row)
    return found


def rules_of(calculation: Calculation, stored: Stored | None = None) -> list[Rule]:
    """Apply every rule to what is stored, which is read where it is not given."""
    software = software_of(calculation)
    if software is None:
        words = f"the plug-in {calculation.software} is not installed, so nothing can be checked"
        return [Rule("software", False, words)]
    stored = stored or stored_of([calculation])[calculation.pk]
    rules = [rule(calculation, software, stored) for rule in (_runs, _main_result, _finite, _units)]
    return [*rules, *_plausible(software, stored)]


def failed(rules: list[Rule]) -> list[Rule]:
    return [rule for rule in rules if not rule.holds]


def _runs(calculation: Calculation, software: Software, stored: Stored) -> Rule:
    if stored.bad or not stored.count:
        words = "no run"
        if stored.bad:
            index, state = stored.bad[0]
            words = f"run {index + 1} is {RunState(state).label.lower()}"
        return Rule("runs", False, words)
    if stored.empty:
        return Rule("runs", False, f"{_named(stored.empty)} has no stored results")
    words = "the run is valid and its results are stored"
    if stored.count > 1:
        words = f"all {stored.count} runs are valid and their results are stored"
    return Rule("runs", True, words)


def _named(indexes: Sequence[int]) -> str:
    words = ", ".join(str(index + 1) for index in indexes[:MOST_NAMED])
    return f"run {words}{' and others' if len(indexes) > MOST_NAMED else ''}"


def _main_result(calculation: Calculation, software: Software, stored: Stored) -> Rule:
    label = calculation.main_label or software.main_result.replace("_", " ")
    if calculation.main_value is not None and math.isfinite(calculation.main_value):
        value = f"{main_words(calculation)} {calculation.main_unit}".rstrip()
        return Rule("main result", True, f"the main result is there: {label} {value}")
    if not software.main_result:
        return Rule("main result", True, "the plug-in names no main result")
    missing = stored.nameless
    if missing or calculation.run_count == 1:
        where = f" of {_named(missing)}" if calculation.run_count > 1 else ""
        return Rule("main result", False, f"the main result{where} is missing: {label}")
    return Rule("main result", True, f"each run has its main result: {label}")


def _finite(calculation: Calculation, software: Software, stored: Stored) -> Rule:
    odd = min((row["odd"] for row in stored.numbers if row["odd"] is not None), default=None)
    if odd is not None:
        return Rule("finite", False, f"{odd} is not a finite number")
    if stored.left_out is not None:
        index, names = stored.left_out
        more = "" if len(names) <= MOST_NAMED else f" and {len(names) - MOST_NAMED} more"
        words = ", ".join(str(name) for name in names[:MOST_NAMED])
        return Rule("finite", False, f"not finite in run {index + 1}: {words}{more}")
    count = sum(row["count"] for row in stored.numbers)
    return Rule("finite", True, f"all {count} numbers are finite")


def _units(calculation: Calculation, software: Software, stored: Stored) -> Rule:
    for row in stored.numbers:
        if len(row["units"]) > 1:
            units = ", ".join(sorted(row["units"]))
            return Rule("units", False, f"{row['name']} has several units: {units}")
    wanted = {bounds.quantity: bounds.unit for bounds in software.plausible}
    for row in stored.numbers:
        name, (unit,) = row["name"], row["units"]
        if name in wanted and unit != wanted[name]:
            said = f"in {unit}" if unit else "without a unit"
            return Rule("units", False, f"{name} is {said}, it should be in {wanted[name]}")
    return Rule("units", True, f"each of {len(stored.numbers)} quantities has one unit in all runs")


def _plausible(software: Software, stored: Stored) -> list[Rule]:
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for row in stored.numbers:
        by_name.setdefault(row["name"], []).append(row)
    bounds = software.plausible
    return [_within(item, by_name[item.quantity]) for item in bounds if item.quantity in by_name]


def _within(bounds: Plausible, rows: Sequence[Mapping[str, Any]]) -> Rule:
    """As PostgreSQL does, what is no number counts as the greatest."""
    least = min((row["least"] for row in rows), key=_rank)
    most = max((row["most"] for row in rows), key=_rank)
    ends = [value_words(float(f"{value:.6g}")) for value in dict.fromkeys((least, most))]
    seen = " … ".join(ends)
    label = min(row["named"] for row in rows)
    words = f"{label} {seen} {bounds.unit}".rstrip()
    holds = bounds.holds(least, most)
    return Rule(bounds.quantity, holds, f"{words}, expected {bounds.words}", firm=False)


def _rank(value: float) -> float:
    return math.inf if math.isnan(value) else value
