"""The table of a comparison: a line for each parameter, resource and result, aligned by name, in
one unit, with what differs from the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db.models import Q, Sum

from calculations.models import Attempt, Calculation, Quantity
from calculations.services.sweeps import axes_of
from calculations.software.analysis import is_number
from calculations.software.parameters import Parameter
from calculations.software.registry import all_software
from calculations.states import RunState
from calculations.units import factor
from calculations.wording import (
    RESOURCES,
    column_words,
    further_resources,
    result_words,
    software_of,
    span_words,
    value_words,
)
from labportal.common.templatetags.labportal import MINUS, NOTHING, duration

LONGEST_WORDS = 60


@dataclass(frozen=True, slots=True)
class Cell:
    """`words` as the page shows it, `value` as programs read it; `difference` to the reference with
    its sign, in the line's unit.
    """

    words: str
    value: Any = None
    difference: str = ""
    delta: float | None = None
    differs: bool = False
    unit: str = ""  # where it is not the line's


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    label: str
    unit: str
    cells: tuple[Cell, ...]
    numeric: bool = False
    note: str = ""
    partial: bool = False  # not all of the programs have it

    @property
    def differs(self) -> bool:
        return any(cell.differs for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Section:
    """Lines that belong together; those in which nothing differs may be folded, and those that
    only some of the programs have.
    """

    name: str
    title: str
    lines: tuple[Line, ...]

    @property
    def differing(self) -> list[Line]:
        return [line for line in self.lines if line.differs and not line.partial]

    @property
    def partial(self) -> list[Line]:
        return [line for line in self.lines if line.partial]

    @property
    def same(self) -> list[Line]:
        return [line for line in self.lines if not line.differs and not line.partial]


def sections(calculations: Sequence[Calculation], reference: int) -> list[Section]:
    """Compare; `reference` is the key of one of them. Three queries, however many there are."""
    place = next((i for i, c in enumerate(calculations) if c.pk == reference), 0)
    found = [
        Section("parameters", "Parameters", tuple(_parameters(calculations, place))),
        Section("results", "Results", tuple(_results(calculations, place))),
        Section("setup", "Set-up, trust and use", tuple(_setup(calculations, place))),
    ]
    return [section for section in found if section.lines]


def _parameters(calculations: Sequence[Calculation], place: int) -> list[Line]:
    names: dict[str, Parameter | None] = {}
    for calculation in calculations:
        software = software_of(calculation)
        known = {p.name: p for p in software.parameters} if software else {}
        for name in [*known, *calculation.parameters]:
            if name in calculation.parameters:
                names[name] = names.get(name) or known.get(name)
    lines = []
    for name, parameter in names.items():
        values = [c.parameters.get(name) for c in calculations]
        swept = [
            next((span_words(a) for a in axes_of(c) if a.name == name), "") for c in calculations
        ]
        if all(value in (None, "", [], {}) for value in values) and not any(swept):
            continue
        label = parameter.label if parameter else name
        unit = parameter.unit if parameter else ""
        words = [
            varied or _parameter_words(value, parameter)
            for value, varied in zip(values, swept, strict=True)
        ]
        compared = [varied or value for value, varied in zip(values, swept, strict=True)]
        line = _line(name, label, unit, words, compared, place)
        partial = any(name not in c.parameters for c in calculations)
        lines.append(replace(line, partial=partial))
    return lines


def _parameter_words(value: Any, parameter: Parameter | None) -> str:
    if isinstance(value, str) and len(value) > LONGEST_WORDS:
        rows = value.strip().splitlines()
        first = next((row.strip() for row in rows if row.strip()), "")[:LONGEST_WORDS]
        return f"{first} … ({len(rows)} lines)" if len(rows) > 1 else f"{first} …"
    return value_words(value, choices=parameter.choices if parameter else ())


def _line(
    name: str,
    label: str,
    unit: str,
    words: Sequence[str],
    values: Sequence[Any],
    place: int,
    *,
    note: str = "",
) -> Line:
    """A line of words; numbers beside each other also say by how much they differ."""
    numeric = all(is_number(value) or value is None for value in values)
    base = values[place]
    cells = []
    for word, value in zip(words, values, strict=True):
        delta = float(value) - float(base) if is_number(value) and is_number(base) else None
        shown = _signed(delta) if delta else ""
        cells.append(Cell(word, value, shown, delta, differs=value != base))
    return Line(name, label, unit, tuple(cells), numeric, note)


def _signed(delta: float, unit: str = "") -> str:
    words = result_words(float(f"{delta:.6g}"), unit)
    return words if words.startswith(MINUS) or not delta else f"+{words}"


def _results(calculations: Sequence[Calculation], place: int) -> list[Line]:
    """Quantities of calculations as a whole and of single runs; of a sweep's runs from … to."""
    rows = Quantity.objects.filter(
        Q(run=None) | Q(run__state=RunState.VALID), calculation__in=[c.pk for c in calculations]
    )
    columns = ("calculation_id", "run_id", "name", "label", "unit", "number", "text", "truth")
    held: dict[str, dict[int, list[tuple[str, Any]]]] = {}
    labels: dict[str, str] = {}
    whole: dict[tuple[str, int], tuple[str, Any]] = {}
    for key, run, name, label, unit, *kinds in rows.order_by("id").values_list(*columns):
        value = next((kind for kind in kinds if kind is not None), None)
        labels.setdefault(name, label)
        if run is None:
            whole[name, key] = (unit, value)
        held.setdefault(name, {}).setdefault(key, []).append((unit, value))
    lines = []
    for name, by_calculation in held.items():
        values = [
            [whole[name, c.pk]] if (name, c.pk) in whole else by_calculation.get(c.pk, [])
            for c in calculations
        ]
        lines.append(_result(name, labels[name], values, place))
    return lines


def _result(name: str, label: str, found: Sequence[Sequence[tuple[str, Any]]], place: int) -> Line:
    units = [unit for own in (found[place], *found) for unit, _ in own]
    unit = next(iter(units), "")
    values: list[Any] = []
    own_units = []
    for own in found:
        converted, other = _in_unit(own, unit)
        values.append(converted)
        own_units.append(other)
    shared = [v for own, other in zip(values, own_units, strict=True) if not other for v in own]
    written = iter(column_words(shared, unit))
    cells = []
    base = values[place][0] if len(values[place]) == 1 and not own_units[place] else None
    for own, other in zip(values, own_units, strict=True):
        words = [result_words(v, other) if other else next(written) for v in own]
        value = own[0] if len(own) == 1 else None
        comparable = is_number(value) and is_number(base) and not other
        delta = float(value) - float(base) if comparable else None
        cells.append(
            Cell(
                _spread(words, own),
                value if len(own) < 2 else [own[0], own[-1]],
                _signed(delta, unit) if delta else "",
                delta,
                differs=bool(own) and own != values[place],
                unit=other,
            )
        )
    numeric = all(is_number(v) for own in values for v in own)
    return Line(name, label, unit, tuple(cells), numeric)


def _spread(words: Sequence[str], own: Sequence[Any]) -> str:
    """The one value, or from the least to the greatest of a sweep's runs."""
    if not own:
        return NOTHING
    if len(own) == 1 or len(set(words)) == 1:
        return words[0]
    if all(is_number(value) for value in own):
        order = sorted(range(len(own)), key=lambda i: own[i])
        return f"{words[order[0]]} … {words[order[-1]]}"
    return ", ".join(dict.fromkeys(words))[:LONGEST_WORDS]


def _in_unit(own: Sequence[tuple[str, Any]], unit: str) -> tuple[list[Any], str]:
    """The values in the unit; in their own, which is named, where that cannot be."""
    factors = {source: factor(source, unit) for source, _ in own}
    if any(by is None for by in factors.values()):
        return [value for _, value in own], own[0][0] or "no unit"
    return [_rounded(v * factors[u]) if is_number(v) else v for u, v in own], ""


def _rounded(value: float) -> float:
    """Without the digits that conversion has added."""
    return float(f"{value:.12g}")


Setup = tuple[str, str, str, Callable[[Calculation], Any], Callable[[Any], str]]


def _setup(calculations: Sequence[Calculation], place: int) -> list[Line]:
    used = dict(
        Attempt.objects.filter(run__calculation__in=[c.pk for c in calculations])
        .values_list("run__calculation")
        .annotate(seconds=Sum("elapsed_s"))
    )
    known = all_software()
    rows: tuple[Setup, ...] = (
        ("software", "Software", "", lambda c: c.software, lambda v: _label(v, known)),
        ("structure", "Structure", "", lambda c: c.structure_id and c.structure.name, str),
        ("formula", "Formula", "", lambda c: c.structure_id and c.structure.formula, str),
        ("runs", "Runs", "", lambda c: c.run_count, str),
        ("varies", "Varies", "", lambda c: "; ".join(map(span_words, axes_of(c))), str),
        ("analyses", "Analyses", "", lambda c: ", ".join(sorted(c.analyses)), str),
        ("state", "State", "", lambda c: str(c.get_state_display()), str),
        ("standing", "Standing", "", lambda c: str(c.get_standing_display()), str),
        ("doubt", "In doubt", "", lambda c: c.doubt, str),
        ("cluster", "Cluster", "", lambda c: c.cluster.name if c.cluster else "any", str),
        ("cores", "Cores", "", lambda c: c.cores, str),
        ("memory", "Memory", "MiB", lambda c: c.memory_mib, str),
        ("walltime", "Time limit", "", lambda c: c.walltime_s, _duration),
        *(_further(*resource) for resource in RESOURCES[3:]),
        ("used", "Time of all attempts", "", lambda c: used.get(c.pk), _duration),
        ("project", "Project", "", lambda c: c.project.name, str),
        ("person", "Person", "", lambda c: c.created_by.display_name, str),
    )
    lines = []
    for name, label, unit, read, write in rows:
        values = [read(c) for c in calculations]
        if all(value in (None, "") for value in values):
            continue
        words = [NOTHING if value in (None, "") else write(value) for value in values]
        as_words = name in ("walltime", "used")
        line = _line(name, label, unit, words, values, place)
        if as_words:  # a difference in seconds says nothing beside hours and minutes
            cells = tuple(Cell(c.words, c.value, "", c.delta, c.differs) for c in line.cells)
            line = Line(name, label, unit, cells, numeric=True)
        lines.append(line)
    return lines


def _further(label: str, name: str, write: Callable[[Any], str], unit: str) -> Setup:
    """A line that is there only where somebody asked for more than the usual."""
    return (name, label, unit, lambda c: dict(further_resources(c)).get(label), str)


def _label(name: str, known: Mapping[str, Any]) -> str:
    return known[name].label if name in known else f"{name} (not installed)"


def _duration(seconds: float) -> str:
    return duration(timedelta(seconds=float(seconds)))
