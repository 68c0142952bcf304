"""The projected density of states, summed by element and shell while it is read.

Reads both of SIESTA's spellings, PDOS and PDOS.xml, line by line: an attribute may stand on its own
line, and a file with thousands of orbitals is never held in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from calculations.software.analysis import thin
from calculations.software.reading import integer, lines, real
from calculations.software.results import Column, Dataset

SHELLS = "spdfg"
MAX_ENERGIES = 20_000
MAX_SPECIES = 40
MAX_ROWS = 1000
UNIT = "1/eV"
_ATTRIBUTE = re.compile(r"(\w+)\s*=\s*\"([^\"]{0,200})\"")


@dataclass
class Projected:
    """States/eV at each energy (eV), summed over spins, atoms and m: `parts[element, l]`."""

    energies: list[float] = field(default_factory=list)
    parts: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    spins: int = 1


def read(path: Path) -> Projected | None:
    """Return what is whole; None where there is no orbital. An orbital that is cut is left out."""
    found = Projected()
    stream = (text for _, text in lines(path))
    for text in stream:
        head = text.strip()
        if head.startswith("<nspin>"):
            found.spins = _spins(head, stream)
        elif head.startswith("<energy_values"):
            found.energies = _numbers(stream, "</energy_values>", MAX_ENERGIES) or []
        elif head.startswith("<orbital") and found.energies:
            _orbital(head, stream, found)
    return found if found.parts else None


def _spins(head: str, stream: Iterator[str]) -> int:
    text = re.sub(r"</?nspin>", " ", head) or ""
    value = integer(text) or integer(next(stream, ""))
    return value if value in (1, 2, 4, 8) else 1


def _numbers(stream: Iterator[str], end: str, most: int) -> list[float] | None:
    """Read numbers up to a line with `end`; None where one cannot be read, or the file is cut."""
    values: list[float] = []
    for text in stream:
        if end in text:
            return values
        for word in text.split():
            value = real(word)
            if value is None or len(values) >= most:
                return None
            values.append(value)
    return None


def _orbital(head: str, stream: Iterator[str], found: Projected) -> None:
    for text in stream if "<data>" not in head else ():
        if "<data>" in text:
            break
        head += " " + text.strip()[:400]
        if len(head) > 4000:
            return
    said = {name: value.strip() for name, value in _ATTRIBUTE.findall(head)}
    shell, species = integer(said.get("l", "")), said.get("species", "")[:20]
    spins = 1 if found.spins == 1 else found.spins
    count = len(found.energies)
    values = _numbers(stream, "</data>", count * spins)
    if values is None or shell is None or not 0 <= shell < len(SHELLS) or not species:
        return
    key = (species, shell)
    if key not in found.parts and len({name for name, _ in found.parts} | {species}) > MAX_SPECIES:
        return
    if len(values) != count * spins:
        return
    total = found.parts.setdefault(key, [0.0] * count)
    both = min(spins, 2)
    for i in range(count):
        total[i] += sum(values[i * spins : i * spins + both])


def dataset(found: Projected | None) -> Dataset | None:
    """Each element as a whole, and its shells where it has several."""
    if found is None:
        return None
    kept = thin(range(len(found.energies)), MAX_ROWS)
    columns = [Column("energy", "Energy", "eV", tuple(found.energies[i] for i in kept))]
    for species in dict.fromkeys(name for name, _ in found.parts):
        shells = sorted(shell for name, shell in found.parts if name == species)
        values = [found.parts[species, shell] for shell in shells]
        whole = [sum(part[i] for part in values) for i in kept]
        columns.append(_column(species, whole))
        if len(shells) > 1:
            columns += [
                _column(
                    f"{species} {SHELLS[shell]}", [found.parts[species, shell][i] for i in kept]
                )
                for shell in shells
            ]
    return Dataset("pdos", "Projected density of states", "series", tuple(columns))


def _column(label: str, values: list[float]) -> Column:
    name = re.sub(r"\W+", "_", label)
    return Column(name, label, UNIT, tuple(round(value, 8) for value in values))
