"""Where the recorded runs of pw.x 6.7 are, and the parameters that tests begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calculations.software.espresso import Espresso

DATA = Path(__file__).parents[3] / "data" / "espresso"
SWEEP = (10.0, 10.1, 10.2, 10.3, 10.4)
ESPRESSO = Espresso()

SILICON: dict[str, Any] = {
    "structure": "Si 0 0 0\nSi 0.25 0.25 0.25",
    "units": "alat",
    "lattice": "fcc",
    "celldm": 10.2,
    "ecutwfc": 20,
    "pseudopotentials": "cluster",
    "pseudo_files": "Si Si.pz-vbc.UPF",
    "k_points_a": 4,
    "k_points_b": 4,
    "k_points_c": 4,
    "k_shift": True,
}
HYDROGEN: dict[str, Any] = {
    "calculation": "relax",
    "structure": "H 0 0 0\nH 0 0 0.9",
    "celldm": 8,
    "ecutwfc": 20,
    "conv_thr": 1e-7,
    "pseudopotentials": "cluster",
    "pseudo_pattern": "{element}.pz-vbc.UPF",
}


def checked(**values: Any) -> dict[str, Any]:
    return ESPRESSO.check(values)
