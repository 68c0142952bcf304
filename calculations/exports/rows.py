"""The rows of a data set, one for each run, read in pieces so that memory stays the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from calculations.exports.columns import (
    PROGRAM_VERSION,
    Column,
    dataset_name,
    fitted,
    parameter_name,
    quantity_name,
)
from calculations.exports.runset import STRUCTURES, RunSet
from calculations.models import Calculation, Dataset, Quantity, Run
from calculations.software.base import Software
from calculations.software.structure import Structure
from calculations.wording import software_of

PIECE, FIRST_PIECE = 500, 20  # runs that are read at once
MOST_VALUES = 1_000_000  # in the lists of a piece

Row = dict[str, Any]


def rows(chosen: RunSet, columns: Sequence[Column]) -> Iterator[list[Row]]:
    """Yield piece by piece; each row has every column. A run that left the set meanwhile is out.

    Where runs hold long lists, pieces are as small as their lists are long.
    """
    ids = chosen.runs().values_list("pk", flat=True).iterator(chunk_size=PIECE)
    size = min(PIECE, FIRST_PIECE) if chosen.wanted else PIECE
    while ids_of_piece := list(islice(ids, size)):
        piece = _Piece(chosen, columns, ids_of_piece)
        yield piece.rows()
        if chosen.wanted:
            long = max(piece.values // len(ids_of_piece), 1)
            size = max(1, min(PIECE, MOST_VALUES // long))


class _Piece:
    """A few hundred runs with all that stands in their rows, in a fixed number of queries."""

    def __init__(self, chosen: RunSet, columns: Sequence[Column], ids: Sequence[Any]) -> None:
        self._chosen, self.values = chosen, 0
        self._types = {column.name: column.type for column in columns}
        runs = chosen.runs().filter(pk__in=ids).select_related("cluster")
        self._runs = list(runs)
        keys = {run.calculation_id for run in self._runs}
        found = Calculation.objects.filter(pk__in=keys).select_related("project")
        self._calculations = {c.pk: c for c in found.prefetch_related("input_files")}
        self._known = {c.pk: software_of(c) for c in self._calculations.values()}
        self._files = {
            c.pk: {f.name: f.sha256 for f in c.input_files.all()}
            for c in self._calculations.values()
        }
        self._found = self._quantities(ids)
        self._datasets(ids)

    def rows(self) -> list[Row]:
        return [self._row(run) for run in self._runs]

    def _row(self, run: Run) -> Row:
        calculation = self._calculations[run.calculation_id]
        self._chosen.seen.add(calculation.project_id)
        software = self._known[calculation.pk]
        parameters = {**calculation.parameters, **run.parameters, **run.changes}
        found = self._found.get(run.pk, {})
        row: Row = {
            "run_id": str(run.pk),
            "calculation": calculation.pk,
            "calculation_name": calculation.name,
            "run": run.index + 1,
            "attempt": run.attempt,
            "project": calculation.project.slug,
            "standing": calculation.standing,
            "software": calculation.software,
            "plugin_version": calculation.software_version,
            "program_version": found.pop(PROGRAM_VERSION, None),
            "cluster": run.cluster.name if run.cluster else None,
            "finished_at": run.finished_at,
            "input_sha256": input_sha256(calculation, parameters, self._files[calculation.pk]),
            **self._structure(software, parameters),
            **_parameters(software, parameters),
            **found,
        }
        return {name: fitted(kind, row.get(name)) for name, kind in self._types.items()}

    def _structure(self, software: Software | None, parameters: Mapping[str, Any]) -> Row:
        structure = structure_of(software, parameters)
        if structure is None:
            return {}
        row: Row = {"formula": structure.formula, "atom_count": len(structure.atoms)}
        if STRUCTURES in self._chosen.include:
            row["symbols"] = [atom.symbol for atom in structure.atoms]
            row["positions"] = [atom.position for atom in structure.atoms]
            row["cell"] = structure.cell
            row["pbc"] = [letter == "T" for letter in structure.periodic]
        return row

    def _quantities(self, ids: Sequence[Any]) -> dict[Any, Row]:
        named = Quantity.objects.filter(run__in=ids).order_by("id")
        found: dict[Any, Row] = {}
        for run, name, unit, number, text, truth in named.values_list(
            "run", "name", "unit", "number", "text", "truth"
        ):
            value = number if number is not None else text if text is not None else truth
            column = PROGRAM_VERSION
            if name != PROGRAM_VERSION:
                column = quantity_name(name, unit)
                if column not in self._types:
                    column = quantity_name(name, unit, alone=False)
            found.setdefault(run, {})[column] = value
        return found

    def _datasets(self, ids: Sequence[Any]) -> None:
        if not self._chosen.wanted:
            return
        held = Dataset.objects.filter(run__in=ids, name__in=self._chosen.wanted).order_by("id")
        for run, name, columns in held.values_list("run", "name", "columns").iterator():
            row = self._found.setdefault(run, {})
            for column in columns:
                row[dataset_name(name, str(column["name"]))] = column["values"]
                self.values += len(column["values"])


def structure_of(software: Software | None, parameters: Mapping[str, Any]) -> Structure | None:
    """The atoms that the run began with; None where they cannot be read any more."""
    try:
        return software.structure(parameters) if software else None
    except (ValueError, KeyError, TypeError):
        return None


def input_sha256(
    calculation: Calculation, parameters: Mapping[str, Any], files: Mapping[str, str]
) -> str:
    """The digest of what a run was given, spelled as canonical JSON: equal inputs, equal digest."""
    given = {
        "software": calculation.software,
        "software_version": calculation.software_version,
        "parameters": parameters,
        "files": files,
    }
    canonical = json.dumps(given, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _parameters(software: Software | None, parameters: Mapping[str, Any]) -> Row:
    known = {p.name for p in software.parameters} if software else set()
    row = {parameter_name(name): value for name, value in parameters.items() if name in known}
    other = {name: value for name, value in parameters.items() if name not in known}
    row["other_parameters"] = json.dumps(other, sort_keys=True) if other else None
    return row
