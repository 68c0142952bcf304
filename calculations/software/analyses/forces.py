"""The forces of one run: their sizes, root mean square, and what is left of their sum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from calculations.software.analysis import is_sane, needed, rows_of
from calculations.software.base import Analysis, NotComputable
from calculations.software.results import Chart, Column, Dataset, Quantity, Results

UNIT = "eV/Å"


def forces(results: Results, parameters: Mapping[str, Any]) -> Results:
    """The size of each atom's force, their root mean square, and the net force, ideally 0."""
    table = needed(results, "forces", "the run computed no forces: switch them on")
    atoms = rows_of(table, "atom", "x", "y", "z")
    whole = [row[1:] for row in atoms if all(map(is_sane, row[1:]))]
    if not whole:
        raise NotComputable("the output holds no whole row of forces")
    count = len(whole)
    rms = math.sqrt(math.fsum(value * value for row in whole for value in row) / (3 * count))
    net = math.sqrt(sum(math.fsum(row[i] for row in whole) ** 2 for i in range(3)))
    sizes = [
        round(math.hypot(*row[1:]), 8) if all(map(is_sane, row[1:])) else None for row in atoms
    ]
    columns = (
        Column("atom", "Atom", "", tuple(row[0] for row in atoms)),
        Column("norm", "Force", UNIT, tuple(sizes)),
    )
    label = "Root mean square of the force components"
    quantities = (
        Quantity("rms_force", label, round(rms, 8), UNIT),
        Quantity("net_force", "Net force", round(net, 8), UNIT),
    )
    return Results(quantities, (Dataset("force_sizes", "Force on each atom", "series", columns),))


FORCES = Analysis(
    "forces",
    "Forces",
    "run",
    forces,
    help="Force on each atom, root mean square, net force.",
    units={"rms_force": UNIT, "net_force": UNIT},
    charts=(Chart("force_sizes", "atom", ("norm",), "Force on each atom", style="markers"),),
)
