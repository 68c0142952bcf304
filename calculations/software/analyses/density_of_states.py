"""The density of states of one run from the Fermi level, in all and by element and shell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calculations.software.analysis import complete_pairs, is_number, needed, number_of
from calculations.software.base import Analysis, NotComputable
from calculations.software.results import Chart, Column, Dataset, Quantity, Results

UNIT = "1/eV"
SWITCHED_OFF = "the run computed no density of states: switch it on"
NO_PARTS = "the run computed no projected density of states: switch it on"


def dos(results: Results, parameters: Mapping[str, Any]) -> Results:
    """The density of states, its value at the Fermi level, and the electrons below it."""
    table = needed(results, "dos", SWITCHED_OFF)
    fermi = _fermi(results)
    energies, states = complete_pairs(table, "energy", "dos")
    shifted = tuple(round(energy - fermi, 6) for energy in energies)
    columns = [
        Column("energy", "Energy from the Fermi level", "eV", shifted),
        Column("dos", "Density of states", UNIT, tuple(states)),
    ]
    if len(energies) == len(table.columns[0].values):
        columns += [column for column in table.columns if column.name in ("dos_up", "dos_down")]
    quantities = []
    at_fermi = _between(shifted, states, 0.0)
    if at_fermi is not None:
        label = "Density of states at the Fermi level"
        quantities.append(Quantity("dos_at_fermi", label, round(at_fermi, 6), UNIT))
    below = _integral(shifted, states, 0.0)
    if below is not None:
        label = "States below the Fermi level within the window"
        quantities.append(Quantity("dos_electrons", label, round(below, 5)))
    return Results(
        tuple(quantities),
        (Dataset("dos_from_fermi", "Density of states", "series", tuple(columns)),),
    )


def projected(results: Results, parameters: Mapping[str, Any]) -> Results:
    """The parts of the density of states, and which of them holds most below the Fermi level."""
    table = needed(results, "pdos", NO_PARTS)
    fermi = _fermi(results)
    shifted = tuple(
        round(value - fermi, 6) if is_number(value) else None
        for value in table.column("energy").values
    )
    columns = (Column("energy", "Energy from the Fermi level", "eV", shifted), *table.columns[1:])
    dataset = Dataset("pdos_from_fermi", "Projected density of states", "series", columns)
    below = {}
    shells = [column for column in table.columns[1:] if "_" in column.name]
    for column in shells or table.columns[1:]:
        pairs = [(e, v) for e, v in zip(shifted, column.values) if is_number(e) and is_number(v)]
        below[column.label] = _integral([e for e, _ in pairs], [v for _, v in pairs], 0.0) or 0.0
    largest = max(below, key=lambda label: below[label], default="")
    label = "Largest part below the Fermi level"
    quantities = (Quantity("pdos_largest", label, largest),) if largest else ()
    return Results(quantities, (dataset,))


def _fermi(results: Results) -> float:
    fermi = number_of(results, "fermi_energy")
    if fermi is None:
        raise NotComputable("the output names no Fermi level")
    return fermi


def _between(energies: Sequence[float], states: Sequence[float], at: float) -> float | None:
    """Return the value at an energy, interpolated; None outside of the window."""
    for i in range(1, len(energies)):
        if energies[i - 1] <= at < energies[i]:
            part = (at - energies[i - 1]) / (energies[i] - energies[i - 1])
            return states[i - 1] + part * (states[i] - states[i - 1])
    return None


def _integral(energies: Sequence[float], states: Sequence[float], top: float) -> float | None:
    """Return the integral up to `top` by trapezia; None where `top` is outside of the window."""
    total = 0.0
    for i in range(1, len(energies)):
        width = energies[i] - energies[i - 1]
        if energies[i] >= top:
            end = _between(energies, states, top)
            if end is None:
                return None
            return total + (top - energies[i - 1]) * (states[i - 1] + end) / 2
        total += width * (states[i - 1] + states[i]) / 2
    return None


DOS = Analysis(
    "dos",
    "Density of states",
    "run",
    dos,
    version=2,
    help="The density of states from the Fermi level, and the states below it.",
    units={"dos_at_fermi": UNIT, "dos_electrons": ""},
    charts=(Chart("dos_from_fermi", "energy", ("dos", "dos_up", "dos_down"), "Density of states"),),
)
PDOS = Analysis(
    "pdos",
    "Projected density of states",
    "run",
    projected,
    requires=("dos",),
    help="What the elements and their shells give to the density of states.",
    units={"pdos_largest": ""},
    charts=(Chart("pdos_from_fermi", "energy", ("*",), "Projected density of states"),),
)
