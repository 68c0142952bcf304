"""Values of fdf with their units, as numbers in the units of the form."""

from __future__ import annotations

import re
from collections.abc import Sequence

BOHR, RYDBERG, KELVIN = 0.529177210903, 13.605693122994, 8.617333262e-5
# By what a value is multiplied to be in the first unit of its kind.
KINDS: tuple[dict[str, float], ...] = (
    {"ev": 1.0, "mev": 1e-3, "ry": RYDBERG, "mry": 1e-3 * RYDBERG, "ha": 2 * RYDBERG,
     "hartree": 2 * RYDBERG, "k": KELVIN, "kelvin": KELVIN},
    {"ang": 1.0, "angstrom": 1.0, "bohr": BOHR, "nm": 10.0},
    {"ev/ang": 1.0, "ry/bohr": RYDBERG / BOHR, "ev/bohr": 1 / BOHR, "ha/bohr": 2 * RYDBERG / BOHR},
    {"gpa": 1.0, "mpa": 1e-3, "kbar": 0.1, "mbar": 100.0, "ev/ang**3": 160.21766208,
     "ry/bohr**3": 14710.5076},
    {"fs": 1.0, "ps": 1000.0},
    {"v/ang": 1.0, "v/nm": 0.1, "v/bohr": 1 / BOHR, "v/um": 1e-4, "v/cm": 1e-8, "v/m": 1e-10},
    {"ry*fs**2": 1.0},
    {"": 1.0},
)  # fmt: skip
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d{1,3})?")


class Refused(ValueError):
    """A keyword that cannot be taken; the words go behind its name."""


def real(word: str) -> float:
    if _NUMBER.fullmatch(word) is None or not word.isascii():
        raise Refused(f"is {word[:30]!r}, which is not a number")
    return float(re.sub("[dD]", "e", word))


def convert(words: Sequence[str], meant: str, unit: str) -> float:
    """Return the value in `unit`; `meant` holds where none stands there."""
    if not words:
        raise Refused("has no value")
    value = real(words[0])
    said = (words[1] if len(words) > 1 else meant).lower()
    for kind in KINDS:
        if said in kind and unit.lower() in kind:
            return float(f"{value * kind[said] / kind[unit.lower()]:.10g}")
    raise Refused(f"has the unit {said[:20]!r}, which does not fit; write it in {unit or 'none'}")


def whole(words: Sequence[str]) -> int:
    if not words or re.fullmatch(r"[-+]?\d{1,9}", words[0], re.ASCII) is None:
        raise Refused("needs a whole number")
    return int(words[0])


def truth(words: Sequence[str]) -> bool:
    said = words[0].strip(".").lower() if words else "t"
    if said in ("t", "true", "yes", "y"):
        return True
    if said in ("f", "false", "no", "n"):
        return False
    raise Refused(f"is {said[:20]!r}, neither true nor false")
