"""The library of structures: each kept once in a project, linked to what is computed of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction

from calculations.models import Calculation, Dataset, Run, Structure
from calculations.software.base import Software
from calculations.software.registry import UnknownSoftware, get_software
from calculations.software.structure import Structure as Atoms
from calculations.software.structure import StructureError, read_xyz, volume, write_xyz
from calculations.structures import reading
from calculations.structures.fingerprint import fingerprints
from calculations.structures.found import Found, finish
from labportal.accounts.models import Project, User
from labportal.accounts.roles import Can, can, require
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment

MAX_TAGS, MAX_TAG, MAX_NAME = 20, 40, 200
# Datasets that plug-ins extract: pages draw them instead of printing their numbers.
GEOMETRY, CELL, TRAJECTORY, CELLS = DRAWN = (
    "final_geometry",
    "final_cell",
    "trajectory",
    "trajectory_cells",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A structure that a draft needs in its project."""

    project_id: int
    atoms: Atoms
    hashes: tuple[str, ...]


def atoms_of(structure: Structure) -> Atoms:
    return read_xyz(structure.content)


def read(content: str | bytes, *, format: str = "", file_name: str = "") -> Found:
    """Read a file or pasted text. Raises InvalidInput for the field `content`."""
    try:
        return reading.read(content, format=format, name=file_name)
    except StructureError as error:
        raise InvalidInput(str(error), field="content") from None


def create(
    project: Project,
    *,
    name: str,
    content: str | bytes,
    actor: User,
    format: str = "",
    file_name: str = "",
    description: str = "",
    tags: Iterable[str] = (),
) -> tuple[Structure, bool]:
    """Keep a structure; returns it, and whether it is new to the project: an identical one stays.

    Raises InvalidInput with the errors of all fields.
    """
    require(actor, Can.CREATE_CALCULATION)
    errors: dict[str, str] = {}
    cleaned, found = [], None
    try:
        cleaned = clean_tags(tags)
    except InvalidInput as error:
        errors |= error.errors
    try:
        found = read(content, format=format, file_name=file_name)
    except InvalidInput as error:
        errors |= error.errors
    if len(name.strip()) > MAX_NAME:
        errors["name"] = f"is too long; at most {MAX_NAME} characters"
    if errors or found is None:
        raise InvalidInput(errors=errors)
    return _keep(
        project,
        found.structure,
        actor,
        name=name.strip(),
        description=description.strip(),
        tags=cleaned,
        source_name=_plain_name(file_name),
        source_format=found.format,
    )


def create_from_run(run: Run, *, actor: User, name: str = "") -> tuple[Structure, bool]:
    """Keep the geometry with which a run ended. Raises WrongMoment where it stored none."""
    require(actor, Can.CREATE_CALCULATION)
    calculation = run.calculation
    atoms = final_geometry(run)
    if atoms is None:
        raise WrongMoment(f"Run {run.index + 1} of {calculation.number} stored no geometry.")
    start = calculation.structure
    words = name.strip() or f"{start.name if start else calculation.name}, relaxed"
    tags = list(start.tags) if start else []
    return _keep(
        calculation.project, atoms, actor, name=words[:MAX_NAME], tags=tags, derived_from=run
    )


def final_geometry(run: Run) -> Atoms | None:
    """Return the atoms with which the run ended, None where it stored none that can be used.

    A molecule stays one, whatever box its program has put around it.
    """
    start = run.calculation.structure
    periodic = start.periodic if start else "TTT"
    stored = {d.name: d for d in run.datasets.filter(name__in=(GEOMETRY, CELL), analysis=None)}
    if GEOMETRY not in stored:
        return None
    try:
        columns = _columns(stored[GEOMETRY])
        places = list(zip(columns["x"], columns["y"], columns["z"], strict=True))
        cell = _columns(stored[CELL]) if CELL in stored else None
        boxed = cell is None or periodic == "FFF"
        vectors = None if boxed else list(zip(cell["x"], cell["y"], cell["z"], strict=True))
        symbols = [str(symbol) for symbol in columns["symbol"]]
        return finish(symbols, places, vectors, periodic=periodic)
    except (StructureError, KeyError, TypeError, ValueError):
        return None


def _columns(dataset: Dataset) -> dict[str, list[Any]]:
    return {column["name"]: column["values"] for column in dataset.columns}


@transaction.atomic
def change(
    structure: Structure,
    *,
    actor: User,
    name: str | None = None,
    description: str | None = None,
    tags: Iterable[str] | None = None,
) -> Structure:
    """Rename, describe, tag; what is None stays. The atoms never change."""
    require(actor, Can.CREATE_CALCULATION)
    changed: dict[str, Any] = {}
    if name is not None:
        if not 0 < len(name.strip()) <= MAX_NAME:
            raise InvalidInput(f"needs 1 to {MAX_NAME} characters", field="name")
        changed["name"] = name.strip().replace("\0", "")
    if description is not None:
        changed["description"] = description.strip().replace("\0", "")
    if tags is not None:
        changed["tags"] = clean_tags(tags)
    for field, value in changed.items():
        setattr(structure, field, value)
    if changed:
        structure.save(update_fields=list(changed))
    return structure


@transaction.atomic
def delete(structure: Structure, *, actor: User) -> None:
    """Raises WrongMoment while a calculation uses it, however long ago that was deleted."""
    require(actor, Can.CREATE_CALCULATION)
    Structure.objects.select_for_update().get(pk=structure.pk)
    used = Calculation.objects.filter(structure=structure).order_by("-id")
    count = used.count()
    if count:
        words = "calculation uses" if count == 1 else "calculations use"
        raise WrongMoment(
            f"{count} {words} {structure.number}, the last is {used.first().number}; "
            "it stays on record with them."
        )
    if structure.created_by_id != actor.pk and not can(actor, Can.REVIEW):
        raise NotAllowed("Only the person who added it or a moderator deletes a structure.")
    structure.delete()


def still_describes(
    structure: Structure, software: Software, parameters: Mapping[str, Any]
) -> bool:
    """Whether `parameters`, which were checked, hold just what the structure gives the program."""
    given = software.structure_parameters(atoms_of(structure))
    return bool(given) and all(
        str(parameters.get(name)).strip() == str(value).strip() for name, value in given.items()
    )


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Return them trimmed, each once. Raises InvalidInput."""
    found = list(dict.fromkeys(" ".join(str(tag).replace("\0", "").split()) for tag in tags))
    found = [tag for tag in found if tag]
    if len(found) > MAX_TAGS or any(len(tag) > MAX_TAG or "," in tag for tag in found):
        raise InvalidInput(
            f"at most {MAX_TAGS} tags of {MAX_TAG} characters each, without commas", field="tags"
        )
    return found


def link(drafts: Sequence[Calculation], *, actor: User) -> None:
    """Set the structure of each draft, unsaved ones too: its project's own, made where missing.

    A draft that names one of its project keeps it; one of another project is taken over. Costs no
    query where there are no structures, else the same few however many there are.
    """
    known: dict[Any, tuple[Atoms, tuple[str, ...]]] = {}
    wanted: dict[int, Wanted] = {}
    named: dict[tuple[int, str], Structure] = {}
    for place, draft in enumerate(drafts):
        chosen = draft.structure if draft.structure_id else None
        if chosen is not None and chosen.project_id == draft.project_id:
            continue
        atoms = atoms_of(chosen) if chosen else _atoms_of(draft)
        if atoms is None:
            continue
        key = atoms.atoms, atoms.cell, atoms.pbc
        if key not in known:
            known[key] = atoms, fingerprints(atoms)
        wanted[place] = Wanted(draft.project_id, *known[key])
        if chosen is not None:
            named[draft.project_id, wanted[place].hashes[0]] = chosen
    if not wanted:
        return
    rows = _rows(wanted.values(), named, actor)
    for place, one in wanted.items():
        drafts[place].structure = _match(rows, one)


def _atoms_of(draft: Calculation) -> Atoms | None:
    try:
        return get_software(draft.software).structure(draft.parameters)
    except (StructureError, UnknownSoftware, KeyError):
        return None


def _rows(
    wanted: Iterable[Wanted], named: dict[tuple[int, str], Structure], actor: User
) -> dict[tuple[int, str], Structure]:
    """Return the rows that there are or were made, by project and fingerprint."""
    wanted = list(wanted)
    rows = _stored(wanted)
    missing: dict[tuple[int, str], Structure] = {}
    for one in wanted:
        if _match(rows, one) is None and _match(missing, one) is None:
            key = one.project_id, one.hashes[0]
            source = named.get(key)
            row = build(one.atoms, one.hashes[0], actor, name=source.name if source else "")
            row.project_id = one.project_id
            row.tags = list(source.tags) if source else []
            missing[key] = row
    if missing:
        Structure.objects.bulk_create(missing.values(), ignore_conflicts=True)
        rows |= _stored([replace(one, hashes=one.hashes[:1]) for one in wanted])
    return rows


def _stored(wanted: Sequence[Wanted]) -> dict[tuple[int, str], Structure]:
    found = Structure.objects.filter(
        project__in={one.project_id for one in wanted},
        fingerprint__in={known for one in wanted for known in one.hashes},
    )
    return {(row.project_id, row.fingerprint): row for row in found.defer("content")}


def _match(rows: dict[tuple[int, str], Structure], one: Wanted) -> Structure | None:
    return next((rows[one.project_id, h] for h in one.hashes if (one.project_id, h) in rows), None)


def _keep(
    project: Project, atoms: Atoms, actor: User, *, name: str, **columns: Any
) -> tuple[Structure, bool]:
    """Return the project's row of these atoms; two who add it at once get the same."""
    hashes = fingerprints(atoms)
    there = identical(hashes, project)
    if there is not None:
        return there, False
    row = build(atoms, hashes[0], actor, name=name)
    for column, value in columns.items():
        setattr(row, column, value)
    row.project = project
    with transaction.atomic():
        made = Structure.objects.bulk_create([row], ignore_conflicts=True)[0]
        stored = Structure.objects.get(project=project, fingerprint=hashes[0])
    return stored, stored.created_at == made.created_at


def identical(hashes: Sequence[str], project: Project) -> Structure | None:
    return Structure.objects.filter(project=project, fingerprint__in=hashes).first()


def build(atoms: Atoms, fingerprint: str, actor: User, *, name: str = "") -> Structure:
    """Return an unsaved row; without a name it is called what its file calls it."""
    return Structure(
        name=(name or atoms.comment or atoms.formula)[:MAX_NAME],
        content=write_xyz(atoms),
        formula=atoms.formula,
        elements=sorted(set(atoms.species)),
        atom_count=len(atoms.atoms),
        periodic=atoms.periodic,
        volume=abs(volume(atoms.cell)) if atoms.cell else None,
        fingerprint=fingerprint,
        created_by=actor,
        created_at=now(),
    )


def _plain_name(name: str) -> str:
    return "".join(c for c in name if c.isprintable() and c not in "/\\")[:200]
