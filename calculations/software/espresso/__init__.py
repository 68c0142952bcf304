"""Quantum ESPRESSO: density functional theory with plane waves and pseudopotentials."""

from calculations.software.espresso.plugin import Espresso

__all__ = ["Espresso"]
