"""PySCF: molecules by Hartree-Fock and density functional theory."""

from calculations.software.pyscf.plugin import PySCF

__all__ = ["PySCF"]
