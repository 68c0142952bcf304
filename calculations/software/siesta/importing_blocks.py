"""Blocks of a whole fdf file as values of the form; each names itself where it cannot be taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from calculations.software.siesta.fdf import Entry, split
from calculations.software.siesta.rows import constraint_rows
from calculations.software.siesta.units import Refused, convert, real, whole

Values = dict[str, Any]


def _rows(entry: Entry) -> list[list[str]]:
    if entry.rows is None:
        raise Refused("must be a block")
    return [split(row) for row in entry.rows]


def _text(name: str) -> Callable[[Entry, Values], None]:
    def read(entry: Entry, values: Values) -> None:
        _rows(entry)
        values[name] = "".join(f"{row}\n" for row in entry.rows or ())

    return read


def _grid(entry: Entry) -> tuple[list[int], list[float]] | None:
    """Return (counts, shifts) of a diagonal grid, None for another one."""
    rows = _rows(entry)
    if len(rows) != 3 or any(len(row) < 3 for row in rows):
        raise Refused("needs three rows of three whole numbers and a shift")
    numbers = [[whole([word]) for word in row[:3]] for row in rows]
    shifts = [real(row[3]) if len(row) > 3 else 0.0 for row in rows]
    if any(numbers[i][j] for i in range(3) for j in range(3) if i != j):
        return None
    return [numbers[i][i] for i in range(3)], shifts


def _k_points(entry: Entry, values: Values) -> None:
    grid = _grid(entry)
    if grid is not None:
        counts, shifts = grid
        needed = [shift for count, shift in zip(counts, shifts) if count > 1]
        plain = all(shift == 0 for count, shift in zip(counts, shifts) if count == 1)
        if len(set(needed)) <= 1 and plain and 0 <= sum(needed[:1]) <= 0.5 and min(counts) > 0:
            values.update({f"k_points_{axis}": count for axis, count in zip("abc", counts)})
            values["k_shift"] = needed[0] if needed else 0.0
            return
    values["k_grid"] = "".join(f"{' '.join(row)}\n" for row in _rows(entry))


def _finer(entry: Entry, values: Values) -> None:
    grid = _grid(entry)
    counts = {count for count in grid[0] if count > 1} if grid else set()
    if grid is None or len(counts) != 1:
        raise Refused("must be diagonal with one number of points")
    values["dos_k_points"] = counts.pop()


def _dos(entry: Entry, values: Values) -> None:
    rows = _rows(entry)
    words = rows[0] if rows else []
    if len(words) == 6 and words[0].upper() in ("EF", "FERMI"):
        raise Refused("counts from the Fermi level; give it on SIESTA's own scale")
    if len(words) < 4:
        raise Refused("needs two ends, a width, a number of points and a unit")
    unit = words[4] if len(words) > 4 else "eV"
    low, high, width = (convert([word, unit], unit, "eV") for word in words[:3])
    values.update(dos=True, dos_minimum=low, dos_maximum=high, dos_broadening=width)
    values["dos_points"] = whole([words[3]])


def _bands(entry: Entry, values: Values) -> None:
    _text("band_lines")(entry, values)
    values["bands"] = True


def _field(entry: Entry, values: Values) -> None:
    rows = _rows(entry)
    if len(rows) != 1 or len(rows[0]) < 4:
        raise Refused("needs one row: three numbers and a unit")
    *numbers, unit = rows[0][:4]
    for axis, word in zip("xyz", numbers):
        values[f"field_{axis}"] = convert([word, unit], unit, "V/Ang")


def _sizes(entry: Entry, values: Values) -> None:
    values["basis_sizes"] = "".join(f"{' '.join(row[:2])}\n" for row in _rows(entry))


def _constraints(entry: Entry, values: Values) -> None:
    _text("constraints")(entry, values)
    constraint_rows(values["constraints"])


def _points(entry: Entry, values: Values) -> None:
    raise Refused("is not in the form; give a path in BandLines")


def _cutoff(entry: Entry, values: Values) -> None:
    raise Refused("is not in the form; give a grid in kgrid_Monkhorst_Pack")


BLOCKS: dict[str, Callable[[Entry, Values], None]] = {
    "kgrid_Monkhorst_Pack": _k_points,
    "kgrid.MonkhorstPack": _k_points,
    "kgrid_cutoff": _cutoff,
    "PDOS.kgrid_Monkhorst_Pack": _finer,
    "PDOS.kgrid.MonkhorstPack": _finer,
    "ProjectedDensityOfStates": _dos,
    "BandLines": _bands,
    "BandPoints": _points,
    "ExternalElectricField": _field,
    "DM.InitSpin": _text("initial_spin"),
    "PAO.BasisSizes": _sizes,
    "PAO.Basis": _text("basis_block"),
    "Geometry.Constraints": _constraints,
    "GeometryConstraints": _constraints,
}
