"""The one reader of stored sweeps: what varies in a calculation, and the runs that it makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from calculations.models import Calculation, Run, Structure
from calculations.software.base import Software
from calculations.software.pseudopotential import NeededPseudopotential
from calculations.software.registry import UnknownSoftware, get_software
from calculations.software.structure import Structure as Atoms
from calculations.software.structure import StructureError, read_xyz
from calculations.sweeps import planner
from calculations.sweeps.axes import YES_NO, Axis, axes_of_sweep, stored_axes
from calculations.sweeps.planner import PlannedRun, count_of
from calculations.sweeps.ranges import InvalidAxis
from calculations.sweeps.reading import InvalidSweep, KnownStructure, read_sweep
from calculations.sweeps.rotation import read_selection, selected
from labportal.accounts.models import Project, User
from labportal.common.errors import InvalidInput

MOST_RUN_NUMBER = 10_000

__all__ = [
    "Axis",
    "PlannedRun",
    "axes_of",
    "carry_of",
    "changes_of",
    "clean_sweep",
    "count_of",
    "needed_files",
    "needed_of",
    "plan",
    "plan_at",
    "plan_of",
    "run_numbers",
    "structures_of",
    "varied",
]


def axes_of(calculation: Calculation) -> list[Axis]:
    """What varies between the runs, in order; empty for a single run."""
    return axes_of_sweep(calculation.sweep, _software(calculation)) if calculation.sweep else []


def carry_of(calculation: Calculation) -> tuple[str, ...]:
    """Patterns of the files that a run takes from the one before; empty where none follows one."""
    return tuple(calculation.sweep["carry"]) if calculation.is_chain else ()


def varied(calculation: Calculation) -> frozenset[str]:
    """The names of the parameters that differ between the runs."""
    software = _software(calculation)
    if software is None or not calculation.sweep:
        return frozenset()
    return planner.varied_names(software, calculation.parameters, calculation.sweep)


def _software(calculation: Calculation) -> Software | None:
    try:
        return get_software(calculation.software)
    except UnknownSoftware:
        return None


def clean_sweep(
    software: Software,
    parameters: Mapping[str, Any],
    sweep: Mapping[str, Any] | None,
    *,
    project: Project,
    actor: User,
) -> dict[str, Any] | None:
    """Return the sweep as it is stored; None for a single run. Raises InvalidInput naming the
    field.
    """
    if not sweep:
        return None
    known: dict[int, KnownStructure] = {}

    def find(keys: Sequence[int]) -> list[KnownStructure]:
        rows = Structure.objects.visible_to(actor).filter(project=project, pk__in=keys)
        known.update({row.pk: KnownStructure(row.pk, row.name, _atoms(row)) for row in rows})
        return list(known.values())

    try:
        stored = read_sweep(software, sweep, find=find)
        atoms = {key: one.structure for key, one in known.items()}
        planner.check(software, parameters, stored, atoms)
    except InvalidSweep as error:
        short = "axes" not in sweep
        raise InvalidInput(errors=_shortened(error.errors) if short else error.errors) from None
    return stored


def _shortened(errors: Mapping[str, str]) -> dict[str, str]:
    """In the short form the fields of the only axis are those of the sweep."""
    return {name.replace("sweep.axes.0.", "sweep."): text for name, text in errors.items()}


def _atoms(row: Structure) -> Atoms:
    try:
        return read_xyz(row.content)
    except StructureError as error:
        words = f"{row.number} {row.name} {error}"
        raise InvalidSweep({"sweep.structures": words}) from None


def structures_of(sweep: Mapping[str, Any] | None) -> dict[int, Atoms]:
    """The atoms of the structures that a stored sweep names."""
    keys = [key for axis in stored_axes(sweep) for key in axis.get("structures", ())]
    rows = Structure.objects.filter(pk__in=keys).only("id", "name", "content") if keys else ()
    return {row.pk: _atoms(row) for row in rows}


def plan(
    software: Software, parameters: Mapping[str, Any], sweep: Mapping[str, Any] | None
) -> list[PlannedRun]:
    """Return the runs of a stored sweep. Raises InvalidInput where a structure has gone."""
    try:
        return planner.plan(software, parameters, sweep, structures_of(sweep))
    except InvalidSweep as error:
        raise InvalidInput(errors=error.errors) from None


def plan_at(
    software: Software,
    parameters: Mapping[str, Any],
    sweep: Mapping[str, Any],
    points: Sequence[planner.Point],
) -> list[PlannedRun]:
    """Return the runs of some points; what they continue is the caller's to say."""
    changes = changes_of(software, parameters, sweep)
    return [PlannedRun(changes.at(point), point) for point in points]


def changes_of(
    software: Software, parameters: Mapping[str, Any], sweep: Mapping[str, Any] | None
) -> planner.Changes:
    """For those who want a few runs of many: what each point changes."""
    return planner.Changes(software, parameters, sweep, structures_of(sweep))


def plan_of(calculation: Calculation) -> list[PlannedRun]:
    if not calculation.sweep:
        return [PlannedRun({}, ())]
    software = get_software(calculation.software)
    return plan(software, calculation.parameters, calculation.sweep)


def needed_files(calculation: Calculation) -> tuple[str, ...]:
    """The files that the scientist must supply for any of the runs."""
    software = get_software(calculation.software)
    return needed_of(software, calculation.parameters, calculation.sweep)


def needed_of(
    software: Software, parameters: Mapping[str, Any], sweep: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """As needed_files; a sweep over structures needs those of each of them."""
    found = {
        name: None
        for full in _kinds(software, parameters, sweep)
        for name in software.needed_files(full)
    }
    return tuple(found)


def pseudopotentials_of(
    software: Software, parameters: Mapping[str, Any], sweep: Mapping[str, Any] | None
) -> tuple[NeededPseudopotential, ...]:
    """Those that any of the runs needs."""
    found = {
        needed: None
        for full in _kinds(software, parameters, sweep)
        for needed in software.pseudopotentials(full)
    }
    return tuple(found)


def _kinds(
    software: Software, parameters: Mapping[str, Any], sweep: Mapping[str, Any] | None
) -> Iterable[Mapping[str, Any]]:
    """The parameters with each structure, and with each enumerated value."""
    chosen = structures_of(sweep)
    if not chosen:
        yield parameters
    for structure in chosen.values():
        yield {**parameters, **software.structure_parameters(structure)}
    for axis in stored_axes(sweep):
        if all(isinstance(value, str) for value in axis["values"]) and "structures" not in axis:
            for value in axis["values"]:
                yield {**parameters, axis["parameter"]: value}


def run_numbers(text: str | None) -> list[int] | None:
    """Read 3, 7-9; None where no runs are named. Raises InvalidInput."""
    if text is None or not text.strip():
        return None
    try:
        return [place + 1 for place in selected(read_selection(text), MOST_RUN_NUMBER)]
    except InvalidAxis:
        words = f"{text[:40]!r} names no runs; write their numbers, such as 3, 7-9"
        raise InvalidInput(errors={"runs": words}) from None


def swept_names(sweep: Mapping[str, Any] | None) -> list[str]:
    """Return what is varied, by name: the parameters, or field, rotation, structure."""
    return [axis.column or axis.name for axis in axes_of_sweep(sweep, None)]


def swept_values(calculation: Calculation, run: Run) -> list[dict[str, Any]]:
    """Return the run's place in the sweep, for analyses: name, label, unit and value per axis."""
    return [
        {
            "name": axis.column or axis.name,
            "label": axis.label,
            "unit": axis.unit,
            "value": dict(YES_NO)[value] if isinstance(value, bool) else value,
        }
        for axis, value in zip(axes_of(calculation), run.point, strict=False)
    ]
