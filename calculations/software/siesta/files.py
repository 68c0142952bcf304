"""SIESTA's small result files: EIG, FA, XV, DOS, bands, MESSAGES and stderr.

Each reader takes what is whole and leaves out what is cut; an unreadable file gives nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from calculations.software.reading import integer, lines, real, tokens

BOHR = 0.529177  # Å, with the digits of SIESTA 4.1, so that its own lengths come back
LARGEST_COUNT = 10_000_000
MAX_ATOMS = 5000
MAX_VALUES = 400_000


@dataclass(frozen=True)
class Levels:
    """The eigenvalues (eV) of one k-point and one spin, lowest first."""

    k: int
    spin: int
    energies: tuple[float | None, ...]


@dataclass
class Eigenvalues:
    """`homo`, `lumo`: None where the number of occupied levels differs between k-points."""

    fermi: float
    bands: int
    spins: int
    k_points: int
    levels: list[Levels] = field(default_factory=list)
    homo: float | None = None
    lumo: float | None = None
    direct_gap: float | None = None
    metallic: bool = False

    @property
    def gap(self) -> float | None:
        if self.metallic:
            return 0.0
        return None if self.homo is None or self.lumo is None else self.lumo - self.homo


@dataclass(frozen=True)
class Geometry:
    """Cell and atoms as (atomic number, x, y, z), in Å."""

    cell: tuple[tuple[float, ...], ...]
    atoms: tuple[tuple[int, float, float, float], ...]


@dataclass(frozen=True)
class Bands:
    """Energies (eV) along a path: `energies[spin][band][point]`; `labels` as (distance, name)."""

    fermi: float
    distances: tuple[float, ...]
    energies: tuple[tuple[tuple[float | None, ...], ...], ...]
    labels: tuple[tuple[float, str], ...]


def result_file(folder: Path, label: str, extension: str) -> Path:
    """Return `<label>.<extension>` where it exists, otherwise the first file of that extension."""
    named = folder / f"{label}.{extension}"
    try:
        if label and re.fullmatch(r"[\w.+-]+", label) and named.is_file():
            return named
        return next(iter(sorted(folder.glob(f"*.{extension}"))), named)
    except OSError:
        return named


def _count(stream: Iterator[str]) -> int | None:
    value = integer(next(stream, ""))
    return value if value is not None and 0 < value <= LARGEST_COUNT else None


def _take(stream: Iterator[str], count: int) -> list[float | None] | None:
    """Return the next `count` numbers, None where the stream ends first."""
    values: list[float | None] = []
    for _ in range(count):
        word = next(stream, None)
        if word is None:
            return None
        values.append(real(word))
    return values


def read_eigenvalues(path: Path) -> Eigenvalues | None:
    stream = tokens(path)
    fermi = real(next(stream, ""))
    bands, spins, k_points = _count(stream), _count(stream), _count(stream)
    if fermi is None or bands is None or spins is None or k_points is None or spins > 4:
        return None
    if bands * spins > MAX_VALUES:  # more at one k-point than a basis has
        return None
    found = Eigenvalues(fermi, bands, spins, k_points)
    occupied: dict[int, set[int]] = {}
    kept = 0
    for k in range(1, k_points + 1):
        if integer(next(stream, "")) != k:
            break
        values = _take(stream, bands * spins)
        if values is None:
            break
        for spin in range(spins):
            energies = tuple(values[spin * bands : (spin + 1) * bands])
            occupied.setdefault(spin, set()).add(_frontier(found, energies))
            if kept + bands <= MAX_VALUES:
                found.levels.append(Levels(k, spin + 1, energies))
                kept += bands
    if not occupied:
        return None
    if any(len(counts) > 1 for counts in occupied.values()):
        found.metallic, found.homo, found.lumo, found.direct_gap = True, None, None, None
    return found


def _frontier(found: Eigenvalues, energies: tuple[float | None, ...]) -> int:
    """Note the levels next to the Fermi level and return how many lie below it."""
    below = [energy for energy in energies if energy is not None and energy <= found.fermi]
    above = [energy for energy in energies if energy is not None and energy > found.fermi]
    if below:
        found.homo = max(below) if found.homo is None else max(found.homo, *below)
    if above:
        found.lumo = min(above) if found.lumo is None else min(found.lumo, *above)
    if below and above:
        gap = min(above) - max(below)
        found.direct_gap = gap if found.direct_gap is None else min(found.direct_gap, gap)
    return len(below)


def read_forces(path: Path) -> list[tuple[float | None, float | None, float | None]]:
    """Return the forces (eV/Å) of an FA file, of the first atoms where there are very many."""
    rows: list[tuple[float | None, float | None, float | None]] = []
    for number, line in lines(path):
        words = line.split()
        if number == 1:
            continue
        if len(words) != 4 or integer(words[0]) != len(rows) + 1 or len(rows) >= MAX_ATOMS:
            break
        rows.append((real(words[1]), real(words[2]), real(words[3])))
    return rows


def read_geometry(path: Path) -> Geometry | None:
    cell: list[tuple[float, ...]] = []
    atoms: list[tuple[int, float, float, float]] = []
    promised = 0
    for number, line in lines(path):
        words = line.split()
        if number <= 3:
            vector = [real(word) for word in words[:3]]
            if len(vector) < 3 or None in vector:
                return None
            cell.append(tuple(value * BOHR for value in vector if value is not None))
        elif number == 4:
            promised = (integer(words[0]) or 0) if words else 0
        elif len(words) >= 5 and len(atoms) < min(promised, MAX_ATOMS):
            atomic_number = integer(words[1])
            x, y, z = (real(word) for word in words[2:5])
            if atomic_number is None or x is None or y is None or z is None:
                break
            atoms.append((atomic_number, x * BOHR, y * BOHR, z * BOHR))
    if not atoms or len(atoms) < min(promised, MAX_ATOMS):
        return None
    return Geometry(tuple(cell), tuple(atoms))


def read_dos(path: Path) -> list[tuple[float, ...]]:
    """Return rows of (energy in eV, states/eV of each spin); an unreadable row ends the table."""
    rows: list[tuple[float, ...]] = []
    width = 0
    for _, line in lines(path):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        values = [real(word) for word in line.split()]
        width = width or len(values)
        if len(values) != width or not 2 <= width <= 5 or None in values or len(rows) >= MAX_VALUES:
            break
        rows.append(tuple(value for value in values if value is not None))
    return rows


def read_bands(path: Path) -> Bands | None:
    stream = tokens(path)
    head = _take(stream, 5)
    bands, spins, points = _count(stream), _count(stream), _count(stream)
    if (
        head is None
        or head[0] is None
        or bands is None
        or spins is None
        or points is None
        or bands * spins > MAX_VALUES
        or spins > 2
    ):
        return None
    distances: list[float] = []
    columns: list[list[list[float | None]]] = [[[] for _ in range(bands)] for _ in range(spins)]
    complete = True
    for _ in range(points):
        row = _take(stream, 1 + bands * spins)
        if row is None or row[0] is None or len(distances) * bands * spins > MAX_VALUES:
            complete = False
            break
        distances.append(row[0])
        for position, value in enumerate(row[1:]):
            columns[position // bands][position % bands].append(value)
    if not distances:
        return None
    energies = tuple(tuple(tuple(band) for band in spin) for spin in columns)
    return Bands(head[0], tuple(distances), energies, _band_labels(stream) if complete else ())


def _band_labels(stream: Iterator[str]) -> tuple[tuple[float, str], ...]:
    labels: list[tuple[float, str]] = []
    for _ in range(min(_count(stream) or 0, 200)):
        distance, name = real(next(stream, "")), next(stream, "")
        if distance is None or not name:
            break
        labels.append((distance, name.strip("'\"")[:20]))
    return tuple(labels)


def read_notes(path: Path, limit: int = 200) -> list[str]:
    """Return the first lines of a short text file (MESSAGES, stderr), without the empty ones."""
    notes: list[str] = []
    for _, line in lines(path):
        if line.strip():
            notes.append(line.strip()[:300])
        if len(notes) >= limit:
            break
    return notes
