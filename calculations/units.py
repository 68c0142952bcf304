"""Units as results carry them, turned into one another; the one place that knows how.

Factors alone: a unit with an offset (°C) turns into none. Pint is imported with the first unit that
differs from the one asked for, since most never do.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from tokenize import TokenError
from typing import Any

# As plug-ins and people write them -> as pint knows them.
SPELLINGS = {
    "Ha": "hartree",
    "Eh": "hartree",
    "Hartree": "hartree",
    "Ry": "rydberg",
    "Rydberg": "rydberg",
    "ev": "eV",
    "Bohr": "bohr",
    "Å": "angstrom",
    "\N{ANGSTROM SIGN}": "angstrom",
    "A": "angstrom",
    "Ang": "angstrom",
    "Angstrom": "angstrom",
    "Debye": "debye",
    "D": "debye",
    "e": "elementary_charge",
    "h": "hour",
    "µB": "bohr_magneton",
    "\N{GREEK SMALL LETTER MU}B": "bohr_magneton",
    "kbar": "kilobar",
    "°": "degree",
    "deg": "degree",
    "%": "percent",
    "kJ/mol": "kilojoule_per_mole",
    "kcal/mol": "kilocalorie_per_mole",
}
POWERS = str.maketrans({"²": "^2", "³": "^3", "⁻": "-", "¹": "1"})
PART = re.compile(r"(1|[%°]|[^\W\d_]+)(?:\^?(-?\d))?")
LONGEST = 30
# What pint lets through of Python's tokenizer and arithmetic.
NOT_UNDERSTOOD: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    SyntaxError,
    TokenError,
    TypeError,
    ValueError,
)


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
    except (pint.PintError, *NOT_UNDERSTOOD):
        return None
    known = isinstance(value, int | float) and math.isfinite(value) and zero == 0
    return float(value) if known and value else None


@lru_cache(maxsize=1024)
def is_unit(word: str) -> bool:
    """Tell whether something can be measured in it."""
    if not word or len(word) > LONGEST:
        return False
    import pint

    try:
        return not _quantity(word).dimensionless
    except (pint.PintError, *NOT_UNDERSTOOD):
        return False


def _quantity(unit: str) -> Any:
    spelled = SPELLINGS.get(unit)
    if spelled is None:
        parts = unit.translate(POWERS).replace("·", "*").split("/")
        spelled = "/".join(
            "*".join(_part(one.strip()) for one in part.split("*")) for part in parts
        )
    return _registry().Quantity(1.0, spelled)


def _part(part: str) -> str:
    """One factor, spelled for pint; more than a name and a small power may take it for ever."""
    found = PART.fullmatch(part)
    if found is None:
        raise ValueError(part)
    base, power = found.groups()
    return f"{SPELLINGS.get(base, base)}**{power}" if power else SPELLINGS.get(base, base)
