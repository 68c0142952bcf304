"""The structures of a set as extended xyz, with energies and forces: what interatomic potentials
are trained on. ASE reads it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, BinaryIO

from calculations.exports.base import Asked, OfSet, Progress
from calculations.exports.columns import Column, columns_of
from calculations.exports.dataset import Pieces
from calculations.exports.rows import Row
from calculations.exports.runset import STRUCTURES, RunSet
from calculations.units import factor

GEOMETRY, CELL, FORCES = "final_geometry", "final_cell", "forces"
ENERGY, PREFIX = "quantity_total_energy", "quantity_"
UNQUOTED = re.compile(r"[\w.+:/-]+", re.ASCII)
MOST_WORDS = 300
#: What is told of each frame, beside its numbers.
TOLD = ("run_id", "calculation", "run", "software", "program_version", "input_sha256")


class Structures(OfSet):
    name = "structures-xyz"
    label = "Structures, extended xyz"
    help = "One frame for each run with its energy in eV and its forces in eV/Å, as ASE reads them."
    content_type = "chemical/x-xyz"
    ending = "xyz"

    def write(self, asked: Asked, stream: BinaryIO, progress: Progress) -> None:
        chosen: RunSet = replace(asked.about, include=(STRUCTURES, GEOMETRY, CELL, FORCES))
        columns = columns_of(chosen)
        energy = next((c for c in columns if c.name == ENERGY), None)
        by = factor(energy.unit, "eV") if energy else None
        for piece in Pieces(chosen, columns, progress):
            stream.write("".join(_frame(row, columns, by) for row in piece).encode())


def _frame(row: Row, columns: Sequence[Column], energy_factor: float | None) -> str:
    """Empty for a run without a structure. The energy is that of the geometry that stands here."""
    symbols, places, cell = _geometry(row)
    if not symbols:
        return ""
    forces = _vectors(row, FORCES)
    forces = forces if len(forces) == len(symbols) else []
    head = ["Properties=species:S:1:pos:R:3" + (":forces:R:3" if forces else "")]
    if cell:
        head.insert(0, f'Lattice="{" ".join(_n(x) for vector in cell for x in vector)}"')
    periodic = row["pbc"] or [False] * 3
    head.append(f'pbc="{" ".join("T" if one else "F" for one in periodic)}"')
    if energy_factor is not None and row[ENERGY] is not None:
        head.append(f"energy={row[ENERGY] * energy_factor!r}")
    head += [f"{name}={_word(row[name])}" for name in TOLD if row[name] is not None]
    for column in columns:
        value = row[column.name]
        if column.origin == "quantity" and column.name != ENERGY and value is not None:
            head.append(f"{column.name.removeprefix(PREFIX)}={_word(value)}")
    lines = [
        " ".join([symbol, *map(_n, place), *(map(_n, forces[i]) if forces else ())])
        for i, (symbol, place) in enumerate(zip(symbols, places, strict=True))
    ]
    return "\n".join([str(len(symbols)), " ".join(head), *lines]) + "\n"


def _geometry(row: Row) -> tuple[list[str], list[list[float]], list[list[float]]]:
    """How the run ended, else how it began."""
    symbols, places = row.get(f"dataset_{GEOMETRY}_symbol") or [], _vectors(row, GEOMETRY)
    if symbols and len(symbols) == len(places):
        return symbols, places, _vectors(row, CELL) or row["cell"] or []
    return row["symbols"] or [], row["positions"] or [], row["cell"] or []


def _vectors(row: Row, dataset: str) -> list[list[float]]:
    axes = [row.get(f"dataset_{dataset}_{axis}") or [] for axis in "xyz"]
    found = [list(vector) for vector in zip(*axes, strict=False)]
    return found if all(value is not None for vector in found for value in vector) else []


def _n(value: Any) -> str:
    return f"{float(value):.10g}"


def _word(value: Any) -> str:
    """A value as the head of a frame bears it: one line, quoted where it needs to be."""
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, int | float):
        return repr(value)
    words = " ".join(str(value).replace("\\", " ").replace('"', "'").split())[:MOST_WORDS]
    return words if UNQUOTED.fullmatch(words) else f'"{words}"'
