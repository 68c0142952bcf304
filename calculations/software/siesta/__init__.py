"""SIESTA: density functional theory with numerical atomic orbitals."""

from calculations.software.siesta.plugin import Siesta

__all__ = ["Siesta"]
