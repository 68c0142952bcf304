"""What must hold before results are called checked: rules read what is stored and say what they
saw. They change nothing; standing.py acts on what they say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

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


def rules_of(calculation: Calculation) -> list[Rule]:
    """Apply every rule to what is stored, in a number of queries that its runs do not change."""
    software = software_of(calculation)
    if software is None:
        words = f"the plug-in {calculation.software} is not installed, so nothing can be checked"
        return [Rule("software", False, words)]
    rules = [rule(calculation, software) for rule in (_runs, _main_result, _finite, _units)]
    return [*rules, *_plausible(calculation, software)]


def failed(rules: list[Rule]) -> list[Rule]:
    return [rule for rule in rules if not rule.holds]


def _runs(calculation: Calculation, software: Software) -> Rule:
    own = {"run": OuterRef("pk"), "analysis": None}
    has_results = Exists(Quantity.objects.filter(**own)) | Exists(Dataset.objects.filter(**own))
    runs = Run.objects.filter(calculation=calculation)
    count = runs.count()
    bad = runs.exclude(state=RunState.VALID).order_by("index").first()
    if bad is not None or not count:
        words = f"run {bad.index + 1} is {bad.get_state_display().lower()}" if bad else "no run"
        return Rule("runs", False, words)
    empty = list(runs.filter(~has_results).order_by("index").values_list("index", flat=True)[:4])
    if empty:
        return Rule("runs", False, f"{_named(empty)} has no stored results")
    words = "the run is valid and its results are stored"
    if count > 1:
        words = f"all {count} runs are valid and their results are stored"
    return Rule("runs", True, words)


def _named(indexes: list[int]) -> str:
    words = ", ".join(str(index + 1) for index in indexes[:MOST_NAMED])
    return f"run {words}{' and others' if len(indexes) > MOST_NAMED else ''}"


def _main_result(calculation: Calculation, software: Software) -> Rule:
    label = calculation.main_label or software.main_result.replace("_", " ")
    if calculation.main_value is not None and math.isfinite(calculation.main_value):
        value = f"{main_words(calculation)} {calculation.main_unit}".rstrip()
        return Rule("main result", True, f"the main result is there: {label} {value}")
    if not software.main_result:
        return Rule("main result", True, "the plug-in names no main result")
    without = calculation.runs.filter(main_value=None).order_by("index")
    missing = list(without.values_list("index", flat=True)[: MOST_NAMED + 1])
    if missing or calculation.run_count == 1:
        where = f" of {_named(missing)}" if calculation.run_count > 1 else ""
        return Rule("main result", False, f"the main result{where} is missing: {label}")
    return Rule("main result", True, f"each run has its main result: {label}")


def _finite(calculation: Calculation, software: Software) -> Rule:
    numbers = Quantity.objects.filter(calculation=calculation, number__isnull=False)
    odd = numbers.filter(number__in=NOT_FINITE).values_list("label", flat=True).first()
    left_out = Attempt.objects.filter(
        run__calculation=calculation, number=F("run__attempt")
    ).exclude(not_finite=[])
    lost = left_out.order_by("run__index").values_list("run__index", "not_finite").first()
    if odd is not None:
        return Rule("finite", False, f"{odd} is not a finite number")
    if lost is not None:
        index, names = lost
        more = "" if len(names) <= MOST_NAMED else f" and {len(names) - MOST_NAMED} more"
        words = ", ".join(str(name) for name in names[:MOST_NAMED])
        return Rule("finite", False, f"not finite in run {index + 1}: {words}{more}")
    return Rule("finite", True, f"all {numbers.count()} numbers are finite")


def _units(calculation: Calculation, software: Software) -> Rule:
    numbers = Quantity.objects.filter(calculation=calculation, number__isnull=False)
    units: dict[tuple[Any, str], set[str]] = {}
    for across, name, unit in (
        numbers.order_by().values_list(Q(run=None), "name", "unit").distinct()
    ):
        units.setdefault((across, name), set()).add(unit)
    for (_, name), found in units.items():
        if len(found) > 1:
            return Rule("units", False, f"{name} has several units: {', '.join(sorted(found))}")
    wanted = {bounds.quantity: bounds.unit for bounds in software.plausible}
    for (_, name), found in units.items():
        unit = next(iter(found))
        if name in wanted and unit != wanted[name]:
            said = f"in {unit}" if unit else "without a unit"
            return Rule("units", False, f"{name} is {said}, it should be in {wanted[name]}")
    return Rule("units", True, f"each of {len(units)} quantities has one unit in all runs")


def _plausible(calculation: Calculation, software: Software) -> list[Rule]:
    bounds = {item.quantity: item for item in software.plausible}
    found = (
        Quantity.objects.filter(calculation=calculation, name__in=bounds, number__isnull=False)
        .order_by()
        .values("name")
        .annotate(label=Min("label"), least=Min("number"), most=Max("number"), count=Count("pk"))
    )
    rows = {row["name"]: row for row in found}
    return [_within(item, rows[name]) for name, item in bounds.items() if name in rows]


def _within(bounds: Plausible, row: dict[str, Any]) -> Rule:
    least, most = row["least"], row["most"]
    ends = [value_words(float(f"{value:.6g}")) for value in dict.fromkeys((least, most))]
    seen = " … ".join(ends)
    words = f"{row['label']} {seen} {bounds.unit}".rstrip()
    holds = bounds.holds(least, most)
    return Rule(bounds.quantity, holds, f"{words}, expected {bounds.words}", firm=False)
