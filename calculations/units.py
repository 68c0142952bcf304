"""Units as results carry them, turned into one another; the one place that knows how.

Factors alone: a unit with an offset (°C) turns into none. Pint is imported with the first unit that
differs from the one asked for, since most never do.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

# As plug-ins and people write them -> as pint knows them.
SPELLINGS = {
    "Ha": "hartree",
    "Ry": "rydberg",
    "Bohr": "bohr",
    "Å": "angstrom",
    "A": "angstrom",
    "Ang": "angstrom",
    "Debye": "debye",
    "D": "debye",
    "e": "elementary_charge",
    "µB": "bohr_magneton",
    "kbar": "kilobar",
    "°": "degree",
    "deg": "degree",
    "%": "percent",
    "kJ/mol": "kilojoule_per_mole",
    "kcal/mol": "kilocalorie_per_mole",
}
POWERS = str.maketrans({"²": "^2", "³": "^3", "⁻": "-", "¹": "1"})
LONGEST = 30


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    registry = pint.UnitRegistry(cache_folder=None)
    registry.define("kilojoule_per_mole = 1000 joule / 6.02214076e23")
    registry.define("kilocalorie_per_mole = 4184 joule / 6.02214076e23")
    return registry


@lru_cache(maxsize=1024)
def factor(unit: str, to: str) -> float | None:
    """Return by what a number in `unit` is multiplied to be in `to`; None where that cannot be."""
    if unit == to:
        return 1.0
    if not unit or not to or max(len(unit), len(to)) > LONGEST:
        return None
    import pint

    try:
        value = _quantity(unit).to(_quantity(to).units).magnitude
        zero = (0 * _quantity(unit)).to(_quantity(to).units).magnitude
    except (pint.PintError, ValueError, TypeError, AttributeError, ZeroDivisionError, SyntaxError):
        return None
    known = isinstance(value, int | float) and math.isfinite(value) and zero == 0
    return float(value) if known and value else None


def _quantity(unit: str) -> Any:
    spelled = SPELLINGS.get(unit)
    if spelled is None:
        parts = unit.translate(POWERS).split("/")
        spelled = "/".join(_part(part.strip()) for part in parts)
    return _registry().Quantity(1.0, spelled)


def _part(part: str) -> str:
    base, sign, power = part.partition("^")
    return f"{SPELLINGS.get(base, base)}{'**' if sign else ''}{power}"
