"""The columns of a data set: found out once for all its runs, typed, with units.

The same set has the same columns in the same order, whatever form it is written in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import connection
from django.db.models import Count, Min

from calculations.exports.runset import STRUCTURES, RunSet
from calculations.models import Quantity
from calculations.software.parameters import Kind, Parameter
from calculations.software.registry import all_software

UNSAFE = re.compile(r"[^A-Za-z0-9]+")
LARGEST_INTEGER = 2**63 - 1


class Type(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    TRUTH = "truth"
    TIME = "time"  # UTC
    TEXTS = "list of text"
    NUMBERS = "list of numbers"
    TRUTHS = "list of truths"
    VECTORS = "list of vectors"


@dataclass(frozen=True, slots=True)
class Column:
    """`origin` is what it tells of: run, structure, parameter, quantity, dataset."""

    name: str
    type: Type
    label: str
    unit: str = ""
    origin: str = "run"

    def document(self) -> dict[str, str]:
        return {**asdict(self), "type": str(self.type)}


IDENTITY = (
    Column("run_id", Type.TEXT, "Key of the run"),
    Column("calculation", Type.INTEGER, "Number of the calculation"),
    Column("calculation_name", Type.TEXT, "Name of the calculation"),
    Column("run", Type.INTEGER, "Number of the run in its calculation, from 1"),
    Column("attempt", Type.INTEGER, "Attempt that gave the results"),
    Column("project", Type.TEXT, "Project"),
    Column("standing", Type.TEXT, "How far the results are trusted: checked or validated"),
    Column("software", Type.TEXT, "Program"),
    Column("plugin_version", Type.INTEGER, "Version of the portal's plug-in"),
    Column("program_version", Type.TEXT, "Version of the program, as its output says"),
    Column("cluster", Type.TEXT, "Cluster on which it ran"),
    Column("finished_at", Type.TIME, "When the run ended"),
    Column("input_sha256", Type.TEXT, "Digest of software, parameters and supplied files"),
    Column("formula", Type.TEXT, "Chemical formula in Hill's order", origin="structure"),
    Column("atom_count", Type.INTEGER, "Number of atoms", origin="structure"),
)
STRUCTURE = (
    Column("symbols", Type.TEXTS, "Chemical symbols", origin="structure"),
    Column("positions", Type.VECTORS, "Positions of the atoms", "Å", "structure"),
    Column("cell", Type.VECTORS, "Vectors of the cell; null without one", "Å", "structure"),
    Column("pbc", Type.TRUTHS, "Whether it repeats along each vector", origin="structure"),
)
OTHER = Column(
    "other_parameters", Type.TEXT, "Parameters that no plug-in knows now, as JSON", "", "parameter"
)
# A quantity of this name says which version of the program wrote the results.
PROGRAM_VERSION = "program_version"


def columns_of(chosen: RunSet) -> list[Column]:
    """Ask the database which parameters, quantities and datasets the runs have."""
    found = [*IDENTITY, *(STRUCTURE if STRUCTURES in chosen.include else ())]
    found += _parameters(chosen)
    found += _quantities(chosen)
    return found + _datasets(chosen)


def parameter_name(name: str) -> str:
    return f"parameter_{plain(name)}"


def dataset_name(dataset: str, column: str) -> str:
    return f"dataset_{plain(dataset)}_{plain(column)}"


def plain(name: str) -> str:
    return UNSAFE.sub("_", name).strip("_").lower() or "unnamed"


def _parameters(chosen: RunSet) -> list[Column]:
    rows = chosen.runs().order_by().values_list("calculation__software", flat=True)
    known = all_software()
    found: dict[str, Column] = {}
    for software in sorted(set(rows.distinct())):
        for parameter in known[software].parameters if software in known else ():
            column = _parameter(parameter)
            other = found.setdefault(column.name, column)
            if other.type is not column.type or other.unit != column.unit:
                kind, unit = Type.TEXT, ""
                if {other.type, column.type} == {Type.INTEGER, Type.NUMBER}:
                    kind = Type.NUMBER
                found[column.name] = Column(column.name, kind, other.label, unit, "parameter")
    return [*found.values(), OTHER]


PARAMETER_TYPES = {
    Kind.INTEGER: Type.INTEGER,
    Kind.NUMBER: Type.NUMBER,
    Kind.BOOLEAN: Type.TRUTH,
    Kind.VECTOR: Type.NUMBERS,
}


def _parameter(p: Parameter) -> Column:
    kind = PARAMETER_TYPES.get(p.kind, Type.TEXT)
    return Column(parameter_name(p.name), kind, p.label, p.unit, "parameter")


def _quantities(chosen: RunSet) -> list[Column]:
    rows = Quantity.objects.filter(run__in=chosen.runs().order_by()).values("name", "unit")
    counted = rows.annotate(
        label=Min("label"), numbers=Count("number"), texts=Count("text"), truths=Count("truth")
    ).order_by("name", "unit")
    found = [row for row in counted if row["name"] != PROGRAM_VERSION]
    units: dict[str, int] = {}
    for row in found:
        units[plain(row["name"])] = units.get(plain(row["name"]), 0) + 1
    columns: dict[str, Column] = {}
    for row in found:
        name = quantity_name(row["name"], row["unit"], alone=units[plain(row["name"])] == 1)
        columns.setdefault(name, Column(name, _type_of(row), row["label"], row["unit"], "quantity"))
    return list(columns.values())


def quantity_name(name: str, unit: str, *, alone: bool = True) -> str:
    """The unit becomes part of the name where runs give the same quantity in several."""
    return f"quantity_{plain(name)}" if alone else f"quantity_{plain(name)}_in_{plain(unit)}"


def _type_of(row: dict[str, Any]) -> Type:
    kinds = [kind for kind in ("numbers", "texts", "truths") if row[kind]]
    known = {"numbers": Type.NUMBER, "truths": Type.TRUTH}
    return known.get(kinds[0], Type.TEXT) if len(kinds) == 1 else Type.TEXT


COLUMNS_OF_DATASETS = """
SELECT d.name, c->>'name', min(c->>'label'), min(c->>'unit'),
       bool_or(jsonb_path_exists(c, '$."values"[*] ? (@.type() == "string")'))
FROM ({}) AS d CROSS JOIN LATERAL jsonb_array_elements(d.columns) WITH ORDINALITY AS e(c, place)
GROUP BY d.name, c->>'name' ORDER BY d.name, min(e.place), c->>'name'
"""


def _datasets(chosen: RunSet) -> list[Column]:
    if not chosen.wanted:
        return []
    sql, values = chosen.datasets().values("name", "columns").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS_OF_DATASETS.format(sql), values)
        rows = cursor.fetchall()
    found: dict[str, Column] = {}
    for dataset, name, label, unit, has_text in rows:
        kind = Type.TEXTS if has_text else Type.NUMBERS
        column = dataset_name(dataset, str(name))
        found.setdefault(column, Column(column, kind, label or name, unit or "", "dataset"))
    return list(found.values())


def fitted(kind: Type, value: Any) -> Any:
    """The value in the type of its column; None for what does not fit."""
    return None if value is None else _FITS[kind](value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _integer(value: Any) -> int | None:
    number = _number(value)
    if number is None or number != int(number) or abs(number) > LARGEST_INTEGER:
        return None
    return int(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _each(fit: Callable[[Any], Any]) -> Callable[[Any], list[Any] | None]:
    def all_of(value: Any) -> list[Any] | None:
        if not isinstance(value, Iterable) or isinstance(value, str):
            return None
        return [None if part is None else fit(part) for part in value]

    return all_of


_FITS: dict[Type, Callable[[Any], Any]] = {
    Type.TEXT: _text,
    Type.INTEGER: _integer,
    Type.NUMBER: _number,
    Type.TRUTH: lambda value: value if isinstance(value, bool) else None,
    Type.TIME: lambda value: value if isinstance(value, datetime) else None,
    Type.TEXTS: _each(_text),
    Type.NUMBERS: _each(_number),
    Type.TRUTHS: _each(bool),
    Type.VECTORS: _each(_each(_number)),
}
