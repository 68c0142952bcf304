"""What the chosen family of pseudopotentials gives to a draft: files, what is missing, warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculations.services import pseudo_families
from calculations.services.pseudo_families import Family
from calculations.services.sweeps import pseudopotentials_of
from calculations.software.base import Software


@dataclass(frozen=True, slots=True)
class Choice:
    """`given` are names of files that the family brings; `missing` says what to do, line by line;
    `names` are the files of which it speaks.
    """

    given: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def choice_of(
    software: Software,
    columns: Mapping[str, Any],
    known: Sequence[Family],
    chosen: str,
    present: Iterable[str],
) -> Choice:
    """`columns` are a draft's, as they would be stored; `present` the files that it has."""
    if not columns or not software.pseudo_formats:
        return Choice()
    needed = pseudopotentials_of(software, columns["parameters"], columns.get("sweep"))
    family = next((f for f in known if f.name == chosen), None)
    given = frozenset(one.name for one in needed if family and family.has(one))
    absent = [one.name for one in needed if one.name not in given and one.name not in present]
    words = pseudo_families.missing_words(needed, absent, known)
    return Choice(
        given,
        frozenset(one.name for one in needed),
        tuple(words),
        tuple(pseudo_families.warnings(needed, family)),
    )


def first_family(software: Software, parameters: Mapping[str, Any], known: Sequence[Family]) -> str:
    """The family to begin with: it has every element, made with the functional."""
    family = pseudo_families.best_family(software.pseudopotentials(parameters), known)
    return family.name if family else ""
