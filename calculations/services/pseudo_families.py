"""Families of the library, and what calculations take from them. The verbs stand in
pseudopotentials.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from calculations.models import Calculation, InputFile, Pseudopotential
from calculations.services.sweeps import pseudopotentials_of
from calculations.software.base import Software
from calculations.software.pseudopotential import NeededPseudopotential, same_functional
from labportal.common.errors import InvalidInput

FOLDER = "pseudopotentials"  # of the store, where the library's files are


@dataclass(frozen=True, slots=True)
class Family:
    """The files of one name; `functionals` are those that their heads name."""

    name: str
    files: list[Pseudopotential]

    @property
    def elements(self) -> frozenset[str]:
        return frozenset(file.element for file in self.files)

    @property
    def formats(self) -> list[str]:
        return sorted({file.format for file in self.files})

    @property
    def functionals(self) -> list[str]:
        return sorted({file.functional for file in self.files if file.functional})

    def has(self, needed: NeededPseudopotential) -> Pseudopotential | None:
        return next(
            (f for f in self.files if (f.element, f.format) == (needed.element, needed.format)),
            None,
        )


def library() -> QuerySet[Pseudopotential]:
    """Every file; the library belongs to the lab, and all who may sign in see it."""
    return Pseudopotential.objects.select_related("added_by")


def families() -> list[Family]:
    """All families by name, in one query."""
    found: dict[str, list[Pseudopotential]] = {}
    for row in library():
        found.setdefault(row.family, []).append(row)
    return [Family(name, rows) for name, rows in found.items()]


def best_family(needed: Sequence[NeededPseudopotential], known: Sequence[Family]) -> Family | None:
    """Return the family that has all that is needed, made with the same functional."""
    for family in known:
        files = [(family.has(one), one.functional) for one in needed]
        if needed and all(
            file is not None and file.functional and same_functional(file.functional, functional)
            for file, functional in files
        ):
            return family
    return None


def stage(pairs: Sequence[tuple[Calculation, str]], *, software_of: Mapping[int, Software]) -> None:
    """Give drafts the files of their families, which share the library's content.

    An empty family takes out what the library gave before. Raises InvalidInput for one that is
    not there; a missing element is told when the calculation is submitted.
    """
    wanted = {family for _, family in pairs if family}
    known = {family.name: family for family in families()} if wanted else {}
    unknown = wanted - set(known)
    if unknown:
        text = f"{sorted(unknown)[0]!r:.60} is not in the library; choose another"
        raise InvalidInput(errors={"pseudo_family": text})
    calculations = [calculation for calculation, _ in pairs]
    given = InputFile.objects.filter(calculation__in=calculations, key__startswith=f"{FOLDER}/")
    given.delete()
    rows = []
    for calculation, name in pairs:
        if not name:
            continue
        software = software_of[calculation.pk]
        for needed in pseudopotentials_of(software, calculation.parameters, calculation.sweep):
            file = known[name].has(needed)
            if file is not None:
                rows.append(
                    InputFile(
                        calculation=calculation,
                        name=needed.name,
                        size=file.size,
                        sha256=file.sha256,
                        key=file.key,
                    )
                )
    # A file of the same name that the scientist has uploaded comes first.
    own = InputFile.objects.filter(calculation__in=calculations)
    taken = set(own.values_list("calculation_id", "name"))
    each = {(row.calculation_id, row.name): row for row in rows}
    InputFile.objects.bulk_create(row for place, row in each.items() if place not in taken)


def family_of(files: Iterable[InputFile], known: Sequence[Family]) -> str:
    """Return the family from which a calculation's files come; empty where from none."""
    keys = {file.key for file in files if file.key.startswith(f"{FOLDER}/")}
    if not keys:
        return ""
    matching = [f for f in known if keys <= {file.key for file in f.files}]
    return matching[0].name if matching else ""


def missing_words(
    needed: Sequence[NeededPseudopotential], names: Iterable[str], known: Sequence[Family]
) -> list[str]:
    """Say what to do about each pseudopotential that is not there."""
    absent = set(names)
    words = []
    for one in needed:
        if one.name not in absent:
            continue
        holders = [family.name for family in known if family.has(one)]
        if holders:
            words.append(f"{one.name} is missing: choose the family {holders[0]}, or upload it")
        else:
            words.append(f"no family has {one.element} in {one.format}: upload {one.name}")
    return words


def warnings(needed: Sequence[NeededPseudopotential], family: Family | None) -> list[str]:
    """What does not stop a calculation, but is seldom meant: files of another functional."""
    if family is None:
        return []
    other = {}
    for one in needed:
        file = family.has(one)
        if file is not None and not same_functional(file.functional, one.functional):
            other.setdefault((file.functional, one.functional), []).append(one.element)
    return [
        f"{', '.join(elements)}: made with {made}, but the functional is {asked}"
        for (made, asked), elements in other.items()
    ]
