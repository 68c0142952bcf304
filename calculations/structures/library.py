"""What may be read of the library of structures: querysets that already passed `visible_to`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, F, Func, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from calculations.models import Calculation, Quantity, Structure
from calculations.software.structure import ATOMIC_NUMBERS
from calculations.states import CalculationState, RunState, Standing
from labportal.accounts.models import User

MOST_MULTIPLES = 128  # NaCl also finds Na4Cl4
MOST_TAGS = 14
MOST_QUANTITIES = 400
FORMULA = re.compile(r"([A-Z][a-z]?)(\d{0,5})")


@dataclass(frozen=True, slots=True)
class StructureFilters:
    """What the library is narrowed to; each field is also a parameter of page and API."""

    formula: str = ""
    element: str = ""  # one or several, with commas: all must be there
    tag: str = ""
    project: str = ""
    text: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> StructureFilters:
        known = {name: str(query.get(name, "")).strip()[:200] for name in cls.__slots__}
        known["text"] = known["text"] or str(query.get("q", "")).strip()[:200]
        return cls(**known)

    def active(self) -> dict[str, str]:
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}


def composition(text: str) -> Counter[str] | None:
    """Read a formula such as H2O or CH3OH, with letters as chemists write them; else None."""
    counts: Counter[str] = Counter()
    place = 0
    for found in FORMULA.finditer(text):
        if found.start() != place or found[1] not in ATOMIC_NUMBERS or found[2] == "0":
            return None
        counts[found[1]] += int(found[2] or 1)
        place = found.end()
    return counts if counts and place == len(text) else None


def hill(counts: Mapping[str, int], times: int = 1) -> str:
    """Write a formula in Hill's order: carbon, hydrogen, then by name."""
    first = [s for s in ("C", "H") if s in counts] if "C" in counts else []
    order = first + sorted(set(counts) - set(first))
    return "".join(s + (str(n) if (n := counts[s] * times) > 1 else "") for s in order)


def with_formula(text: str) -> Q:
    """Those of this formula, or of a multiple of it; none where it is no formula."""
    counts = composition(text)
    if counts is None:
        return Q(pk=None)
    return Q(formula__in=[hill(counts, times) for times in range(1, MOST_MULTIPLES + 1)])


def structures(user: User, filters: StructureFilters | None = None) -> QuerySet[Structure]:
    """Return visible structures, newest first, each with `calculation_count`; without content."""
    rows = Structure.objects.visible_to(user)
    rows = _narrow(rows, filters) if filters else rows
    counted = (
        Calculation.objects.filter(structure=OuterRef("pk"), deleted_at=None)
        .order_by()
        .values("structure")
        .annotate(count=Count("pk"))
        .values("count")
    )
    return (
        rows.annotate(
            calculation_count=Coalesce(Subquery(counted, output_field=IntegerField()), Value(0))
        )
        .select_related("project", "created_by")
        .defer("content")
    )


def _narrow(rows: QuerySet[Structure], filters: StructureFilters) -> QuerySet[Structure]:
    if filters.formula:
        rows = rows.filter(with_formula(filters.formula))
    if filters.element:
        rows = rows.filter(elements__contains=filters.element.replace(",", " ").split())
    if filters.tag:
        rows = rows.filter(tags__contains=[filters.tag])
    if filters.project:
        rows = rows.filter(project__slug=filters.project)
    for word in filters.text.split():
        rows = rows.filter(_word(word))
    return rows


def _word(word: str) -> Q:
    found = Q(name__icontains=word) | Q(description__icontains=word) | Q(tags__contains=[word])
    number = word.upper().removeprefix("S-")
    if number.isdecimal() and number.isascii() and len(number) < 16:
        found |= Q(pk=int(number))
    if word in ATOMIC_NUMBERS:
        return found | Q(elements__contains=[word])
    return found | with_formula(word)


def tags_of(user: User) -> list[str]:
    """Return the tags that are used most."""
    rows = Structure.objects.visible_to(user).order_by()
    used = rows.annotate(tag=Func(F("tags"), function="unnest")).values("tag")
    counted = used.annotate(count=Count("pk")).order_by("-count", "tag")[:MOST_TAGS]
    return [row["tag"] for row in counted]


def twins(structure: Structure, hashes: tuple[str, ...], user: User) -> QuerySet[Structure]:
    """Return the same structure in other projects that the person sees."""
    rows = Structure.objects.visible_to(user).filter(fingerprint__in=hashes)
    return rows.exclude(pk=structure.pk).select_related("project").defer("content")


def calculations_of(structure: Structure, user: User) -> QuerySet[Calculation]:
    rows = Calculation.objects.visible_to(user).filter(structure=structure)
    return rows.select_related("project", "created_by", "cluster", "standing_by")


@dataclass(frozen=True, slots=True)
class Property:
    """A quantity that a valid calculation found, the newest of its name and program."""

    quantity: Quantity
    calculation: Calculation
    others: int


def properties(structure: Structure, user: User) -> list[Property]:
    """Return what is known of the structure: of calculations as a whole, or of their only run."""
    rows = (
        Quantity.objects.visible_to(user)
        .filter(
            Q(run=None) | Q(calculation__run_count=1, run__state=RunState.VALID),
            calculation__structure=structure,
            calculation__state=CalculationState.VALID,
            number__isnull=False,
        )
        .exclude(calculation__standing=Standing.RETRACTED)
    )
    newest = rows.select_related("calculation").order_by("-calculation_id", "id")
    found: dict[tuple[str, str], list[Quantity]] = {}
    for quantity in newest[:MOST_QUANTITIES]:
        found.setdefault((quantity.name, quantity.calculation.software), []).append(quantity)
    return [Property(q[0], q[0].calculation, len(q) - 1) for q in found.values()]
