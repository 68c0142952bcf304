"""Between which bounds a program's numbers are believable: declared by plug-ins, asked by the
portal before it calls results checked.

A bound is wide: what lies beyond is a mistake of units, of geometry or of reading, not a discovery.
Standard library only, Python 3.9.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plausible:
    """The quantity `quantity` is in `unit` and lies within the bounds; None: open to that side."""

    quantity: str
    low: float | None
    high: float | None
    unit: str = ""

    def holds(self, least: float, most: float) -> bool:
        """Whether all values between `least` and `most` are believable; NaN never is."""
        above = least == least if self.low is None else least >= self.low
        return above and (most == most if self.high is None else most <= self.high)

    @property
    def words(self) -> str:
        """0 … 100 eV; at least 0 eV; at most 5."""
        if self.low is None:
            span = f"at most {self.high:.10g}"
        elif self.high is None:
            span = f"at least {self.low:.10g}"
        else:
            span = f"{self.low:.10g} … {self.high:.10g}"
        return f"{span} {self.unit}".rstrip().replace("-", "−")


#: What holds for any calculation of electrons with pseudopotentials or in a Gaussian basis.
ELECTRONIC: tuple[Plausible, ...] = (
    Plausible("total_energy", None, 0.0, "eV"),
    Plausible("gap", 0.0, 200.0, "eV"),
    Plausible("band_gap", 0.0, 200.0, "eV"),
    Plausible("direct_gap", 0.0, 200.0, "eV"),
    Plausible("max_force", 0.0, 100.0, "eV/Å"),
    Plausible("dipole", 0.0, 1000.0, "Debye"),
    Plausible("electrons", 0.0, 1e6),
    Plausible("scf_iterations", 1.0, 1e5),
)
#: What holds for a cell besides.
PERIODIC: tuple[Plausible, ...] = (
    Plausible("volume", 1.0, 1e7, "Å³"),
    Plausible("pressure", -1e4, 1e5, "kbar"),
    Plausible("eos_volume", 1.0, 1e7, "Å³"),
    Plausible("bulk_modulus", 0.0, 2000.0, "GPa"),
)
