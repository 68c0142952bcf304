"""What is computed from pw.x's results: of one run beside the hardware, of all in the portal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from calculations.software.analyses import bands, change, sweeps
from calculations.software.analyses.convergence import convergence
from calculations.software.analyses.eigenvalues import EIGENVALUES
from calculations.software.analyses.forces import FORCES
from calculations.software.analyses.geometry import geometry
from calculations.software.analyses.solid import equation_of_state
from calculations.software.base import Analysis
from calculations.software.espresso.parameters import PARAMETERS


def asked_for(*kinds: str, remedy: str) -> Callable[[Mapping[str, Any], Sequence[str]], str]:
    def lacks(parameters: Mapping[str, Any], swept: Sequence[str]) -> str:
        return "" if parameters.get("calculation") in kinds else remedy

    return lacks


RELAXED = asked_for("relax", "vc-relax", remedy="choose a calculation that optimises the geometry")

ANALYSES: tuple[Analysis, ...] = (
    convergence("step", "accuracy", "Estimated accuracy", "Ry"),
    EIGENVALUES,
    FORCES,
    geometry(),
    replace(change.RELAXATION, lacks=RELAXED),
    replace(change.CHANGE, lacks=RELAXED),
    replace(
        bands.BANDS,
        default=False,
        lacks=asked_for("bands", remedy="choose a calculation of the bands"),
    ),
    sweeps.energy(
        "scf_iterations", "gap", "pressure", "volume", "max_force", parameters=PARAMETERS
    ),
    equation_of_state(PARAMETERS),
)
