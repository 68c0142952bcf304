"""What a scientist may set for SIESTA, in the order of the form, with SIESTA's own keywords."""

from __future__ import annotations

from calculations.software.parameters import Parameter
from calculations.software.siesta.form_basis import BASIS_SET
from calculations.software.siesta.form_field import SURROUNDINGS
from calculations.software.siesta.form_motion import MOTION
from calculations.software.siesta.form_scf import SELF_CONSISTENCY
from calculations.software.siesta.form_spectra import OUTPUT
from calculations.software.siesta.form_system import SYSTEM

PARAMETERS: tuple[Parameter, ...] = (
    *SYSTEM,
    *BASIS_SET,
    *SELF_CONSISTENCY,
    *SURROUNDINGS,
    *MOTION,
    *OUTPUT,
)
