"""A Query as conditions of the database, on calculations, runs, structures or quantities."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from calculations.models import Calculation, Quantity, Run, Structure
from calculations.search.fulltext import among, holding, is_common
from calculations.search.naming import substance_of
from calculations.search.query import Condition, Field, Measured, Query, Span
from calculations.states import CalculationState, RunState
from calculations.structures.library import with_formula

Rows = TypeVar("Rows", bound=QuerySet[Any])
RUN_ONLY = {state.value for state in RunState} - {state.value for state in CalculationState}
CALCULATION_ONLY = {s.value for s in CalculationState} - {s.value for s in RunState}
COLUMNS = {
    Field.SUBMITTED: "submitted_at",
    Field.CREATED: "created_at",
    Field.FINISHED: "finished_at",
    Field.RUNS: "run_count",
    Field.CORES: "cores",
    Field.PRIORITY: "priority",
    Field.ATOMS: "structure__atom_count",
}
TRUE_WORDS, FALSE_WORDS = frozenset({"yes", "true"}), frozenset({"no", "false"})
OF_STRUCTURES = frozenset(
    {
        Field.PROJECT,
        Field.FORMULA,
        Field.ELEMENT,
        Field.TAG,
        Field.NUMBER,
        Field.SUBSTANCE,
        Field.TEXT,
        Field.ATOMS,
    }
)


def apply(query: Query, rows: Rows) -> Rows:
    """Narrow the rows, of Calculation, Run, Structure or Quantity, which stay as visible as they
    were.
    """
    return rows.filter(*NARROWED[rows.model](query.conditions))


def _all_of(conditions: Iterable[Condition], meaning: Callable[[Condition], Q]) -> list[Q]:
    return [~meaning(c) if c.negated else meaning(c) for c in conditions]


def _of_calculations(conditions: Iterable[Condition]) -> list[Q]:
    words, others = _words(conditions, "")
    return [*words, *_all_of(others, lambda c: _calculation(c, ""))]


def _of_runs(conditions: Iterable[Condition]) -> list[Q]:
    words, others = _words(conditions, "calculation__")
    return [*words, *_all_of(others, _run)]


def _words(conditions: Iterable[Condition], at: str) -> tuple[list[Q], list[Condition]]:
    """All words as one condition, which the index meets at once, and what is left."""
    words = [c for c in conditions if c.field is Field.TEXT and not c.negated]
    others = [c for c in conditions if c not in words]
    if not words:
        return [], others
    held = [_held(c.values) for c in words]
    if is_common(Q(*held), Calculation):
        return [_held(c.values, at) for c in words], others
    return [among(f"{at}pk", Calculation.objects.filter(*held))], others


def _of_quantities(conditions: Iterable[Condition]) -> list[Q]:
    """Those that a condition names, of calculations for which all the others hold."""
    asked = [c for c in conditions if c.measured and not c.negated]
    named = Q(pk=None) if asked else Q()
    for condition in asked:
        named |= _bounds(condition)
    others = [c for c in conditions if c not in asked]
    return [named, *_all_of(others, _quantity_row)]


def _quantity_row(condition: Condition) -> Q:
    if condition.field is Field.STATE:
        return _states(condition.values, "run__state") | (
            Q(run=None) & _calculation(condition, "calculation__")
        )
    return _calculation(condition, "calculation__")


def _of_structures(conditions: Iterable[Condition]) -> list[Q]:
    """Their own properties, and one calculation of theirs for which all the rest holds."""
    own, rest = [], []
    for condition in conditions:
        (own if condition.field in OF_STRUCTURES else rest).append(condition)
    found = _all_of(own, _structure)
    if rest:
        computed = Calculation.objects.filter(structure=OuterRef("pk"), deleted_at=None)
        found.append(Q(Exists(computed.filter(*_of_calculations(rest)))))
    return found


NARROWED: dict[type[Model], Callable[[Iterable[Condition]], list[Q]]] = {
    Calculation: _of_calculations,
    Run: _of_runs,
    Structure: _of_structures,
    Quantity: _of_quantities,
}


def _run(condition: Condition) -> Q:
    field = condition.field
    if field is Field.STATE:
        own = _states(condition.values, "state")
        early = [value for value in condition.values if value in CALCULATION_ONLY]
        return own | Q(calculation__state__in=early) if early else own
    if field is Field.CLUSTER:
        return _any("cluster__name__iexact", condition.values)
    if field is Field.FINISHED:
        return _within("finished_at", condition.span)
    if field is Field.QUANTITY:
        found = Quantity.objects.filter(_bounds(condition), run=OuterRef("pk"))
        return Q(Exists(found))
    return _calculation(condition, "calculation__")


def _calculation(condition: Condition, at: str) -> Q:
    """`at` leads from the row to the calculation: "" or "calculation__"."""
    field, values = condition.field, condition.values
    if field in COLUMNS:
        return _within(at + COLUMNS[field], condition.span)
    if field is Field.QUANTITY:
        found = Quantity.objects.filter(_bounds(condition), calculation=OuterRef(f"{at}pk"))
        return Q(Exists(found))
    return CALCULATION_FIELDS[field](values, at)


def _state(values: tuple[str, ...], at: str) -> Q:
    found = _states(values, f"{at}state")
    inside = [value for value in values if value in RUN_ONLY]
    if inside:
        runs = Run.objects.filter(calculation=OuterRef(f"{at}pk"), state__in=inside)
        found |= Q(Exists(runs))
    return found


def _states(values: tuple[str, ...], column: str) -> Q:
    return Q(**{f"{column}__in": values})


def _person(values: tuple[str, ...], at: str) -> Q:
    found = Q(pk=None)
    for name in ("username", "first_name", "last_name"):
        found |= _any(f"{at}created_by__{name}__iexact", values)
    return found


def _cluster(values: tuple[str, ...], at: str) -> Q:
    runs = Run.objects.filter(calculation=OuterRef(f"{at}pk"))
    ran = runs.filter(_any("cluster__name__iexact", values))
    return _any(f"{at}cluster__name__iexact", values) | Q(Exists(ran))


def _project(values: tuple[str, ...], at: str) -> Q:
    return _any(f"{at}project__slug__iexact", values) | _any(f"{at}project__name__iexact", values)


def _in_structures(own: Callable[[tuple[str, ...]], Q]) -> Callable[[tuple[str, ...], str], Q]:
    """A property of the structure as one of its calculations."""

    def meaning(values: tuple[str, ...], at: str) -> Q:
        found = Structure.objects.filter(own(values), pk=OuterRef(f"{at}structure"))
        return Q(Exists(found))

    return meaning


def _number(values: tuple[str, ...], at: str) -> Q:
    calculations = [int(v.removeprefix("C-")) for v in values if not v.startswith("S-")]
    structures = [int(v.removeprefix("S-")) for v in values if v.startswith("S-")]
    return Q(**{f"{at}pk__in": calculations}) | Q(**{f"{at}structure__in": structures})


def _substance(values: tuple[str, ...], at: str) -> Q:
    return _in_structures(_formulas)(values, at) | _held(values, at)


def _held(values: tuple[str, ...], at: str = "") -> Q:
    found = Q(pk=None)
    for value in values:
        found |= holding(at, value)
        if value.isascii() and value.isdecimal() and len(value) < 16:
            found |= Q(**{f"{at}pk": int(value)})
    return found


CALCULATION_FIELDS: dict[Field, Callable[[tuple[str, ...], str], Q]] = {
    Field.STATE: _state,
    Field.STANDING: lambda values, at: Q(**{f"{at}standing__in": values}),
    Field.SOFTWARE: lambda values, at: Q(**{f"{at}software__in": values}),
    Field.PERSON: _person,
    Field.PROJECT: _project,
    Field.CLUSTER: _cluster,
    Field.FORMULA: _in_structures(lambda values: _formulas(values)),
    Field.ELEMENT: _in_structures(lambda values: Q(elements__overlap=list(values))),
    Field.TAG: _in_structures(lambda values: Q(tags__overlap=list(values))),
    Field.NUMBER: _number,
    Field.SUBSTANCE: _substance,
    Field.TEXT: _held,
}


def _structure(condition: Condition) -> Q:
    field, values = condition.field, condition.values
    if field is Field.PROJECT:
        return _project(values, "")
    if field is Field.FORMULA:
        return _formulas(values)
    if field is Field.ELEMENT:
        return Q(elements__overlap=list(values))
    if field is Field.TAG:
        return Q(tags__overlap=list(values))
    if field is Field.ATOMS:
        return _within("atom_count", condition.span)
    if field is Field.NUMBER:
        numbers = [int(v.removeprefix("S-")) for v in values if not v.startswith("C-")]
        made = [int(v.removeprefix("C-")) for v in values if v.startswith("C-")]
        computed = Calculation.objects.filter(structure=OuterRef("pk"), pk__in=made)
        return Q(pk__in=numbers) | Q(Exists(computed.filter(deleted_at=None)))
    found = Q(pk=None)
    for value in values:
        found |= holding("", value) | Q(tags__contains=[value])
    return found | _formulas(values) if field is Field.SUBSTANCE else found


def _formulas(values: Iterable[str]) -> Q:
    found = Q(pk=None)
    for value in values:
        found |= with_formula(substance_of(value) or value)
    return found


def _any(lookup: str, values: Iterable[str]) -> Q:
    found = Q(pk=None)
    for value in values:
        found |= Q(**{lookup: value})
    return found


def _within(column: str, span: Span | None, by: float = 1.0) -> Q:
    found = Q(**{f"{column}__isnull": False})
    if span is None:
        return found
    for end, is_open, name in (
        (span.low, span.low_open, "gt"),
        (span.high, span.high_open, "lt"),
    ):
        if end is not None:
            bound = end / by if by != 1.0 else end
            found &= Q(**{f"{column}__{name}{'' if is_open else 'e'}": bound})
    return found


def _bounds(condition: Condition) -> Q:
    """The quantities that a condition means, in whatever unit they are stored."""
    measured = condition.measured
    if measured is None:
        return Q(pk=None)
    named = Q(name__in=measured.names)
    if condition.values:
        return named & _worded(condition.values)
    if condition.span is None:
        return named
    return named & _in_units(measured, condition.span)


def _in_units(measured: Measured, span: Span) -> Q:
    found = Q(pk=None)
    for unit, by in measured.factors:
        found |= Q(unit=unit) & _within("number", span, by)
    return found


def _worded(values: tuple[str, ...]) -> Q:
    found = Q(pk=None)
    for value in values:
        found |= Q(text__icontains=value)
        if value.lower() in TRUE_WORDS | FALSE_WORDS:
            found |= Q(truth=value.lower() in TRUE_WORDS)
    return found
