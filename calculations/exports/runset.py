"""The set of runs that a data set holds: valid runs of calculations that somebody vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from calculations import selectors
from calculations.models import Dataset, Run
from calculations.selectors import Filters
from calculations.states import CalculationState, RunState, Standing
from labportal.accounts.models import User
from labportal.common.errors import InvalidInput

#: How much trust is asked for: which standings count.
TRUST = {
    "validated": (Standing.VALIDATED,),
    "checked": (Standing.VALIDATED, Standing.CHECKED),
}
MOST_RUNS = 1_000_000
MOST_INCLUDED = 40
MOST_NOTE = 500
STRUCTURES = "structures"  # of what may be included, the one that is no dataset
DEFAULT = (STRUCTURES,)


@dataclass(frozen=True, slots=True)
class RunSet:
    """`include` names what each row holds beside its numbers: "structures", names of datasets.

    `seen` gathers the keys of the projects whose runs were written.
    """

    user: User
    filters: Filters
    standing: str = "validated"
    include: tuple[str, ...] = DEFAULT
    note: str = ""
    words: dict[str, str] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    @classmethod
    def read(cls, asked: Mapping[str, Any], user: User) -> RunSet:
        """Raises InvalidInput naming the field."""
        filters = asked.get("filters") or {}
        if not isinstance(filters, Mapping):
            raise InvalidInput("must be an object of filters", field="filters")
        known = {*Filters.__slots__, "q"}
        unknown = sorted(str(name)[:40] for name in filters if name not in known)
        if unknown:
            raise InvalidInput(
                f"{', '.join(unknown)} is no filter; known are {', '.join(sorted(known))}",
                field="filters",
            )
        standing = str(asked.get("standing") or "validated")
        if standing not in TRUST:
            raise InvalidInput(f"must be one of {', '.join(TRUST)}", field="standing")
        note = str(asked.get("note") or "").strip()
        if len(note) > MOST_NOTE:
            raise InvalidInput(f"may have {MOST_NOTE} characters at most", field="note")
        said = {str(name): str(value).strip()[:200] for name, value in filters.items() if value}
        return cls(user, Filters.read(said), standing, _included(asked), note, said)

    def stored(self) -> dict[str, Any]:
        return {
            "filters": self.words,
            "standing": self.standing,
            "include": list(self.include),
            "note": self.note,
        }

    def label(self) -> str:
        trust = "Validated runs" if self.standing == "validated" else "Checked and validated runs"
        narrowed = ", ".join(f"{name} {value}" for name, value in self.words.items())
        return f"{trust}: {narrowed}" if narrowed else f"{trust}: all"

    def runs(self) -> QuerySet[Run]:
        """The runs in the order of the file: by calculation, then by their number."""
        trusted = selectors.calculations(self.user, self.filters).filter(
            state=CalculationState.VALID, standing__in=TRUST[self.standing], doubt=""
        )
        rows = Run.objects.filter(
            calculation__in=trusted.order_by().values("pk"), state=RunState.VALID
        )
        return rows.order_by("calculation_id", "index")

    def count(self) -> int:
        return self.runs().order_by().count()

    def datasets(self) -> QuerySet[Dataset]:
        """Those of the runs that this set includes."""
        wanted = [name for name in self.include if name != STRUCTURES]
        return Dataset.objects.filter(run__in=self.runs().order_by(), name__in=wanted)

    def available(self) -> list[tuple[str, str]]:
        """Names and labels of the datasets that the runs have."""
        rows = Dataset.objects.filter(run__in=self.runs().order_by()).order_by("name", "label")
        found: dict[str, str] = {}
        for name, label in rows.values_list("name", "label").distinct()[:500]:
            found.setdefault(name, label)
        return list(found.items())[:MOST_INCLUDED]


def _included(asked: Mapping[str, Any]) -> tuple[str, ...]:
    said = asked.get("include", DEFAULT)
    if isinstance(said, str):
        said = said.split(",")
    if not isinstance(said, list | tuple) or len(said) > MOST_INCLUDED:
        raise InvalidInput(f"must be a list of at most {MOST_INCLUDED} names", field="include")
    return tuple(dict.fromkeys(str(name).strip()[:80] for name in said if str(name).strip()))
