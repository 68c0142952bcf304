"""How structures and results of calculations are sent to a model: which values they hold, by name.

Registered with labportal.common.sending; knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.db.models import F, Func, IntegerField
from django.urls import reverse

from calculations.models import Calculation, Dataset, Quantity, Structure
from calculations.services.structures import GEOMETRY, atoms_of, final_geometry
from calculations.software.structure import Structure as Atoms
from calculations.states import RunState
from calculations.structures.formats import FORMATS
from calculations.structures.writing import formats_of, write
from labportal.accounts.models import User
from labportal.common.sending import Subject, register_subject

MOST_QUANTITIES = 5_000
MOST_DATASETS = 20
MOST_STORED = 64 * 1024  # bytes of a dataset as the database keeps it
#: Other names by which models ask for the same.
ALIASES = {
    "species": "symbols",
    "atoms": "symbols",
    "atom_symbols": "symbols",
    "chemical_symbols": "symbols",
    "z": "atomic_numbers",
    "atomic_nums": "atomic_numbers",
    "coordinates": "positions",
    "coords": "positions",
    "xyz_positions": "positions",
    "lattice": "cell",
    "lattice_vectors": "cell",
    "periodic": "pbc",
    "num_atoms": "atom_count",
    "n_atoms": "atom_count",
    "natoms": "atom_count",
}


def register() -> None:
    register_subject(
        "structure",
        "Structure",
        find=find_structure,
        visible=partial(visible_idents, Structure),
        named=lambda ident: (f"S-{ident}", reverse("molecule-detail", args=[ident])),
    )
    register_subject(
        "calculation",
        "Calculation",
        find=find_calculation,
        visible=partial(visible_idents, Calculation),
        named=lambda ident: (f"C-{ident}", reverse("calculation-detail", args=[ident])),
    )


def find_structure(user: User, ident: str) -> Subject | None:
    row = Structure.objects.visible_to(user).filter(pk=ident).first() if _id(ident) else None
    if row is None:
        return None
    atoms = atoms_of(row)
    return Subject(
        key=f"structure:{row.pk}",
        title=f"{row.number} {row.name}",
        url=row.get_absolute_url(),
        values={"name": row.name, **geometry(atoms), "volume": row.volume},
        aliases=ALIASES,
        texts=_texts(atoms),
    )


def find_calculation(user: User, ident: str) -> Subject | None:
    rows = Calculation.objects.visible_to(user).select_related("structure")
    row = rows.filter(pk=ident).first() if _id(ident) else None
    if row is None:
        return None
    atoms = _atoms(row)
    values: dict[str, Any] = {"software": row.software, "parameters": row.parameters}
    if atoms is not None:
        values |= {"structure": geometry(atoms), **geometry(atoms)}
    datasets = _datasets(row)
    found = _quantities(row)
    columns = {name: column for table in datasets.values() for name, column in table.items()}
    return Subject(
        key=f"calculation:{row.pk}",
        title=f"{row.number} {row.name}",
        url=row.get_absolute_url(),
        values={
            **columns,
            **values,
            "name": row.name,
            "datasets": datasets,
            "quantities": found,
            **found,
        },
        aliases=ALIASES,
        texts=_texts(atoms) if atoms is not None else {},
    )


def visible_idents(
    model: type[Structure] | type[Calculation], user: User, idents: Iterable[str]
) -> list[str]:
    """Those of the identifiers that the person may see."""
    rows = model.objects.visible_to(user).filter(pk__in=[one for one in idents if _id(one)])
    return [str(pk) for pk in rows.values_list("pk", flat=True)]


def geometry(atoms: Atoms) -> dict[str, Any]:
    """Lengths in Å; without a cell there is none, rather than one of zeros."""
    found: dict[str, Any] = {
        "formula": atoms.formula,
        "symbols": [atom.symbol for atom in atoms.atoms],
        "atomic_numbers": [atom.number for atom in atoms.atoms],
        "positions": [list(atom.position) for atom in atoms.atoms],
        "pbc": [letter == "T" for letter in atoms.periodic],
        "atom_count": len(atoms.atoms),
    }
    if atoms.cell is not None:
        found["cell"] = [list(vector) for vector in atoms.cell]
    return found


def _texts(atoms: Atoms) -> dict[str, Any]:
    known = [FORMATS[name] for name in formats_of(atoms)]
    return {
        one.media_type: partial(write, atoms, one.name)
        for one in known
        if one.media_type != "text/plain"
    }


def _atoms(row: Calculation) -> Atoms | None:
    """The geometry with which it ended, where one run says so; else the one that it began with."""
    run = row.runs.filter(state=RunState.VALID).first() if row.run_count == 1 else None
    ended = final_geometry(run) if run is not None else None
    if ended is not None:
        return ended
    return atoms_of(row.structure) if row.structure else None


def _quantities(row: Calculation) -> dict[str, Any]:
    """By name: of one run its values, of several a list over the valid runs in their order, unless
    they are too many; what was computed over all of them stands for itself.
    """
    rows = Quantity.objects.filter(calculation=row).order_by("run__index", "pk")
    columns = ("name", "number", "text", "truth")
    across = rows.filter(run=None).values_list(*columns)
    found = {name: _value(values) for name, *values in across[:MOST_QUANTITIES]}
    each = list(rows.filter(run__state=RunState.VALID).values_list(*columns)[: MOST_QUANTITIES + 1])
    if len(each) > MOST_QUANTITIES:
        return found
    by_run: dict[str, list[Any]] = {}
    for name, *values in each:
        by_run.setdefault(name, []).append(_value(values))
    single = row.run_count == 1
    return {name: values[-1] if single else values for name, values in by_run.items()} | found


def _value(columns: list[Any]) -> Any:
    return next((value for value in columns if value is not None), None)


def _datasets(row: Calculation) -> dict[str, dict[str, Any]]:
    """Those of the calculation, and of its one run; large ones are left to programs."""
    rows = Dataset.objects.filter(calculation=row).exclude(name=GEOMETRY)
    rows = rows if row.run_count == 1 else rows.filter(run=None)
    size = Func(F("columns"), function="pg_column_size", output_field=IntegerField())
    small = rows.annotate(size=size).filter(size__lte=MOST_STORED).order_by("pk")
    return {
        one.name: {column["name"]: column["values"] for column in one.columns}
        for one in small[:MOST_DATASETS]
    }


def _id(ident: str) -> bool:
    return ident.isascii() and ident.isdecimal() and len(ident) < 16
