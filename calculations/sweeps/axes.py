"""What varies between the runs of a calculation, as pages, charts, reports and exports name it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculations.software.base import Software
from calculations.software.parameters import Kind, Parameter

FIELD, ROTATION, STRUCTURE = "field", "rotation", "structure"
SPECIAL = (FIELD, ROTATION, STRUCTURE)
COMPONENTS = ("field_x", "field_y", "field_z")
VARIABLE = (Kind.INTEGER, Kind.NUMBER, Kind.CHOICE, Kind.BOOLEAN)
NUMERIC = frozenset({Kind.INTEGER.value, Kind.NUMBER.value, FIELD, ROTATION})
YES_NO = ((True, "yes"), (False, "no"))


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that varies; `values` are in the order in which they were asked for.

    `kind` is a parameter's kind, or "field", "rotation", "structure"; a field along x, y or z is
    that component to analyses (`column`). `note` says which field or rotation; `choices` pair
    values with their words; `keys` are those of the structures.
    """

    name: str
    label: str
    unit: str
    values: tuple[Any, ...]
    kind: str
    note: str = ""
    choices: tuple[tuple[Any, str], ...] = ()
    keys: tuple[int, ...] = ()
    column: str = ""  # in tables, where that is not its name

    @property
    def is_numeric(self) -> bool:
        return self.kind in NUMERIC


def variable(software: Software) -> list[Parameter]:
    """The parameters of a plug-in that may vary by themselves."""
    return [p for p in software.parameters if p.sweepable and p.kind in VARIABLE]


def field_component(software: Software) -> Parameter | None:
    """The x component of the field where the plug-in has all three; it gives unit and bounds."""
    found = {p.name: p for p in software.parameters if p.name in COMPONENTS}
    return found["field_x"] if len(found) == len(COMPONENTS) else None


def has_structure(software: Software) -> bool:
    """Whether the plug-in can tell its atoms, and take others."""
    own = type(software)
    return (
        own.structure is not Software.structure
        and own.structure_parameters is not Software.structure_parameters
    )


def kinds_of(software: Software) -> list[tuple[str, str]]:
    """Everything that may vary as (name, label with unit), in the order of the form."""
    found = [(p.name, f"{p.label} ({p.unit})" if p.unit else p.label) for p in variable(software)]
    component = field_component(software)
    if component is not None:
        found.append((FIELD, f"Field along a direction ({component.unit})"))
    if has_structure(software):
        found += [(ROTATION, "Rotation of the structure (°)"), (STRUCTURE, "Structures")]
    return found


def stored_axes(sweep: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    return list(sweep["axes"]) if sweep else []


def axes_of_sweep(sweep: Mapping[str, Any] | None, software: Software | None) -> list[Axis]:
    """Name the axes of a stored sweep; by their bare names where the plug-in is gone."""
    return [axis_of(stored, software) for stored in stored_axes(sweep)]


def axis_of(stored: Mapping[str, Any], software: Software | None) -> Axis:
    name, values = str(stored["parameter"]), tuple(stored["values"])
    if "structures" in stored:
        keys = tuple(stored["structures"])
        return Axis(name, "Structure", "", values, STRUCTURE, keys=keys)
    if "axis" in stored:
        return Axis(name, "Rotation", "°", values, ROTATION, note=_rotation_words(stored))
    if "direction" in stored:
        component = field_component(software) if software else None
        unit = component.unit if component else ""
        words = _vector_words(stored["direction"])
        column = f"field_{words}" if words in ("x", "y", "z") else ""
        label = "Electric field"
        return Axis(name, label, unit, values, FIELD, note=f"along {words}", column=column)
    parameters = software.parameters if software else ()
    parameter = next((p for p in parameters if p.name == name), None)
    if parameter is None:
        numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        return Axis(name, name, "", values, Kind.NUMBER.value if numeric else Kind.CHOICE.value)
    choices = YES_NO if parameter.kind is Kind.BOOLEAN else parameter.choices
    kind = parameter.kind.value
    return Axis(name, parameter.label, parameter.unit, values, kind, choices=choices)


def _rotation_words(stored: Mapping[str, Any]) -> str:
    about = stored.get("about", "centre")
    if not isinstance(about, str):
        centre = f"the point {_vector_words(about)} Å"
    else:
        centre = "the centre of mass" if about == "mass" else "the centre"
    atoms = str(stored.get("atoms", "all"))
    moved = "" if atoms == "all" else f"atoms {atoms}, "
    return f"{moved}about {_vector_words(stored['axis'])} through {centre}"


def _vector_words(vector: Sequence[float]) -> str:
    """A direction along a coordinate is called by its letter."""
    numbers = [float(value) for value in vector]
    for i, letter in enumerate("xyz"):
        if numbers[i] > 0 and not any(numbers[:i] + numbers[i + 1 :]):
            return letter
    return " ".join(f"{value:g}" for value in numbers)
