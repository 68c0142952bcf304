"""Charges of the atoms as SIESTA prints them: Mulliken, Hirshfeld, Voronoi; the last of each.

`begin` takes the head of a table and returns what reads its rows, None where it is no such table.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from calculations.software.reading import integer, real
from calculations.software.results import Column, Dataset

MAX_ATOMS = 5000
NET = re.compile(r"(Hirshfeld|Voronoi)\s+(?:Net\s+)?Atomic Populations", re.IGNORECASE)
LABELS = {
    "hirshfeld": ("Hirshfeld charge", "e"),
    "voronoi": ("Voronoi charge", "e"),
    "mulliken": ("Mulliken population", ""),
}


class Populations:
    """One value for each atom, by method. Charges are net, in e; Mulliken's count electrons."""

    def __init__(self) -> None:
        self.found: dict[str, dict[int, float]] = {}

    def begin(self, head: str) -> Callable[[str], bool] | None:
        if net := NET.match(head):
            values = self.found[net.group(1).lower()] = {}
            return lambda text: self._net_row(values, text)
        if head.startswith("mulliken: Atomic and Orbital Populations"):
            self.found["mulliken"] = {}
        elif not head.startswith("mulliken: Spin"):
            return None
        mulliken = self.found.setdefault("mulliken", {})
        return lambda text: self._mulliken_row(mulliken, text)

    @staticmethod
    def _net_row(values: dict[int, float], text: str) -> bool:
        words = text.split()
        if words[:2] == ["Atom", "#"]:
            return True
        atom = integer(words[0]) if len(words) > 2 else None
        value = real(words[1]) if len(words) > 2 else None
        if atom != len(values) + 1 or len(values) >= MAX_ATOMS:
            return False
        if value is not None:
            values[atom] = value
        return value is not None

    @staticmethod
    def _mulliken_row(values: dict[int, float], text: str) -> bool:
        """Of one spin, or of both added up: rows begin with an atom, continued ones do not."""
        stripped = text.strip()
        if stripped.startswith(("mulliken:", "siesta:", "scf:", "timer:", "outcoor:")):
            return False
        words = stripped.split()
        atom = integer(words[0]) if len(words) > 1 else None
        if atom is None or not 0 < atom <= MAX_ATOMS:
            return True
        said = words[2] if words[1] == "Total" and len(words) > 2 else words[1]
        value = real(said) if "." in said else None
        if value is not None and (words[1] == "Total" or "." in words[1]):
            values[atom] = values.get(atom, 0.0) + value
        return True

    def dataset(self, symbols: list[str]) -> Dataset | None:
        found = {name: values for name, values in self.found.items() if values}
        if not found:
            return None
        count = max(max(values) for values in found.values())
        known = symbols if len(symbols) >= count else [*symbols, *[""] * (count - len(symbols))]
        atoms = range(1, count + 1)
        columns = [
            Column("atom", "Atom", "", tuple(atoms)),
            Column("symbol", "Element", "", tuple(known[:count])),
        ]
        for name, (label, unit) in LABELS.items():
            if name in found:
                values = tuple(found[name].get(atom) for atom in atoms)
                columns.append(Column(f"charge_{name}", label, unit, values))
        return Dataset("charges", "Charges of the atoms", "table", tuple(columns))
