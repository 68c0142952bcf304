"""What is computed from SIESTA's results: of one run beside the hardware, of all in the portal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from calculations.software.analyses import bands, change, density_of_states, sweeps
from calculations.software.analyses.convergence import convergence
from calculations.software.analyses.eigenvalues import EIGENVALUES
from calculations.software.analyses.forces import FORCES
from calculations.software.analyses.geometry import geometry
from calculations.software.analyses.polarizability import Scale, polarizability
from calculations.software.analyses.solid import equation_of_state
from calculations.software.base import Analysis
from calculations.software.siesta.form_motion import SINGLE
from calculations.software.siesta.parameters import PARAMETERS

# The slope 1 Debye / (V/Å) as a polarizability volume in Å³:
# 1e-18 statC·cm over 1e8/299.792458 statV/cm.
VOLUME = Scale(2.99792458, "Å³")


def still(parameters: Mapping[str, Any], swept: Sequence[str]) -> str:
    return change.NOT_RELAXED if parameters.get("run_type") == SINGLE else ""


def switched_off(name: str, remedy: str) -> Callable[[Mapping[str, Any], Sequence[str]], str]:
    """Say what to switch on where the form has it off; SIESTA's own input is not looked into."""

    def lacks(parameters: Mapping[str, Any], swept: Sequence[str]) -> str:
        return "" if parameters.get(name, True) else remedy

    return lacks


ANALYSES: tuple[Analysis, ...] = (
    convergence("step", "density_change", "Change of the density matrix"),
    EIGENVALUES,
    FORCES,
    geometry(),
    replace(change.RELAXATION, lacks=still),
    replace(change.CHANGE, lacks=still),
    replace(
        density_of_states.DOS,
        default=False,
        lacks=switched_off("dos", "switch the density of states on"),
    ),
    replace(
        density_of_states.PDOS,
        default=False,
        lacks=switched_off("dos", "switch the density of states on"),
    ),
    replace(bands.BANDS, default=False, lacks=switched_off("bands", "switch the bands on")),
    sweeps.energy("scf_iterations", "gap", "pressure", "volume", parameters=PARAMETERS),
    sweeps.dipole(parameters=PARAMETERS),
    polarizability(VOLUME, parameters=PARAMETERS),
    equation_of_state(PARAMETERS),
)
