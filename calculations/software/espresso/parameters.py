"""What a scientist may set for Quantum ESPRESSO's pw.x, in the order of the form."""

from __future__ import annotations

from calculations.software.espresso.form_method import METHOD
from calculations.software.espresso.form_system import SYSTEM
from calculations.software.parameters import Parameter

PARAMETERS: tuple[Parameter, ...] = (*SYSTEM, *METHOD)
