"""Quantities of the runs against what was varied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from calculations.software.analysis import SWEPT, Run, against_sweep, swept_parameters
from calculations.software.base import Analysis, NotComputable
from calculations.software.parameters import Parameter
from calculations.software.results import Chart, Dataset, Results

DIPOLES = ("dipole_x", "dipole_y", "dipole_z", "dipole")


def tabulated(
    runs: Sequence[Run],
    quantities: Sequence[str],
    *,
    name: str,
    label: str,
    parameters: Sequence[Parameter],
) -> Dataset:
    """Tabulate as `against_sweep` does. Raises NotComputable with what is missing."""
    found = against_sweep(runs, quantities, name=name, label=label, parameters=parameters)
    if found is None and not swept_parameters(runs):
        raise NotComputable("fewer than two valid runs differ in what is varied")
    if found is None:
        raise NotComputable(f"no run has any of {', '.join(quantities)}")
    return found


def no_sweep(parameters: Mapping[str, Any], swept: Sequence[str]) -> str:
    return "" if swept else "nothing is varied"


def energy(
    *quantities: str, parameters: Sequence[Parameter], name: str = "energy", label: str = "Energy"
) -> Analysis:
    """Define the total energy, and what belongs to it, against what was varied."""

    def compute(runs: Sequence[Run]) -> Results:
        wanted = ("total_energy", *quantities)
        table = tabulated(runs, wanted, name="energy_sweep", label="Energy", parameters=parameters)
        return Results(datasets=(table,))

    return Analysis(
        name,
        label,
        "calculation",
        compute,
        help="Total energy against what was varied.",
        lacks=no_sweep,
        charts=(
            Chart("energy_sweep", SWEPT, ("total_energy",), "Total energy", style="line+markers"),
        ),
    )


def dipole(
    *,
    parameters: Sequence[Parameter],
    name: str = "dipole",
    dataset: str = "dipole_sweep",
    label: str = "Dipole",
    requires: tuple[str, ...] = (),
    lacks: Callable[[Mapping[str, Any], Sequence[str]], str] = no_sweep,
) -> Analysis:
    """Define the dipole against what was varied."""

    def compute(runs: Sequence[Run]) -> Results:
        swept = [one.name for one in swept_parameters(runs)]
        if swept and lacks({}, swept):
            raise NotComputable(lacks({}, swept))
        table = tabulated(runs, DIPOLES, name=dataset, label="Dipole", parameters=parameters)
        return Results(datasets=(table,))

    return Analysis(
        name,
        label,
        "calculation",
        compute,
        requires=requires,
        help="Dipole against what was varied.",
        lacks=lacks,
        charts=(Chart(dataset, SWEPT, DIPOLES[:3], "Dipole", style="line+markers"),),
    )
