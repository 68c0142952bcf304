"""The set of runs that a data set holds: valid runs of calculations that somebody vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet

from calculations import search, selectors
from calculations.findings.asking import Condition, Unreadable, read_condition
from calculations.findings.catalogue import Level, catalogue
from calculations.findings.rows import met
from calculations.models import Dataset, Run
from calculations.selectors import Filters
from calculations.software.structure import SYMBOLS
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
MOST_CONDITIONS, MOST_WORDS = 12, 500
MOST_LOOKED_AT = 2000  # runs, to tell what datasets there are
#: What a set may be narrowed by, beside the filters of the list.
OF_STRUCTURE = ("formula", "elements")
SEARCHES = ("text", "q")  # in the language of the search; here each run must fit
STRUCTURES = "structures"  # of what may be included, the one that is no dataset
DEFAULT = (STRUCTURES,)


@dataclass(frozen=True, slots=True)
class RunSet:
    """`include` names what each row holds beside its numbers: "structures", names of datasets.

    `words` are the filters as they were said, `query` the search among them, understood;
    `conditions` bound quantities; `seen` gathers the keys of the projects whose runs were written.
    """

    user: User
    filters: Filters
    standing: str = "validated"
    include: tuple[str, ...] = DEFAULT
    note: str = ""
    conditions: tuple[Condition, ...] = ()
    query: search.Query = field(default_factory=search.Query)
    words: dict[str, str] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    @classmethod
    def read(cls, asked: Mapping[str, Any], user: User) -> RunSet:
        """Raises InvalidInput naming the field."""
        filters = asked.get("filters") or {}
        if not isinstance(filters, Mapping):
            raise InvalidInput("must be an object of filters", field="filters")
        known = {*Filters.__slots__, *OF_STRUCTURE, "q"}
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
        said = {str(name): str(value).strip() for name, value in filters.items() if value}
        if any(len(value) > MOST_WORDS for value in said.values()):
            raise InvalidInput(f"have {MOST_WORDS} characters each at most", field="filters")
        _elements(said.get("elements", ""))
        return cls(
            user,
            Filters.read({name: value for name, value in said.items() if name not in SEARCHES}),
            standing,
            _included(asked),
            note,
            _conditions(asked.get("where"), user),
            search.parse(said.get("q") or said.get("text", ""), user=user),
            said,
        )

    def stored(self) -> dict[str, Any]:
        return {
            "filters": self.words,
            "where": [str(condition) for condition in self.conditions],
            "standing": self.standing,
            "include": list(self.include),
            "note": self.note,
        }

    def label(self) -> str:
        trust = "Validated runs" if self.standing == "validated" else "Checked and validated runs"
        return f"{trust}: {', '.join(self.narrowed()) or 'all'}"

    def narrowed(self) -> list[str]:
        """What narrows it, in words."""
        return [
            *(f"{name} {value}" for name, value in self.words.items() if name not in SEARCHES),
            *(condition.said for condition in self.query.conditions),
            *(condition.words for condition in self.conditions),
        ]

    def runs(self) -> QuerySet[Run]:
        """The runs in the order of the file: by calculation, then by their number."""
        trusted = selectors.calculations(self.user, self.filters).filter(
            state=CalculationState.VALID, standing__in=TRUST[self.standing], doubt=""
        )
        if formula := self.words.get("formula"):
            trusted = trusted.filter(structure__formula__iexact=formula)
        if elements := _elements(self.words.get("elements", "")):
            trusted = trusted.filter(structure__elements__contains=elements)
        rows = Run.objects.filter(
            calculation__in=trusted.order_by().values("pk"), state=RunState.VALID
        )
        if self.query.conditions:
            rows = search.apply(self.query, rows)
        for condition in self.conditions:
            own = met([condition], Level.RUN).values("run")
            across = met([condition], Level.CALCULATION).filter(run=None).values("calculation")
            rows = rows.filter(Q(pk__in=own) | Q(calculation__in=across))
        return rows.order_by("calculation_id", "index")

    def count(self) -> int:
        return self.runs().order_by().count()

    @property
    def wanted(self) -> list[str]:
        """The names of the datasets that are included."""
        return [name for name in self.include if name != STRUCTURES]

    def datasets(self) -> QuerySet[Dataset]:
        """Those of the runs that this set includes."""
        return Dataset.objects.filter(run__in=self.runs().order_by(), name__in=self.wanted)

    def available(self) -> list[tuple[str, str]]:
        """Names and labels of the datasets that the newest runs have."""
        newest = self.runs().order_by("-calculation_id").values("pk")[:MOST_LOOKED_AT]
        rows = Dataset.objects.filter(run__in=newest).order_by("name", "label")
        found: dict[str, str] = {}
        for name, label in rows.values_list("name", "label").distinct()[:500]:
            found.setdefault(name, label)
        return list(found.items())[:MOST_INCLUDED]


def _conditions(said: Any, user: User) -> tuple[Condition, ...]:
    """Bounds such as gap>5 eV. Raises InvalidInput."""
    texts = [said] if isinstance(said, str) else list(said or ())
    if len(texts) > MOST_CONDITIONS:
        raise InvalidInput(f"may hold {MOST_CONDITIONS} conditions at most", field="where")
    kinds = catalogue(user) if texts else {}
    try:
        return tuple(read_condition(str(text), kinds) for text in texts if str(text).strip())
    except Unreadable as problem:
        raise InvalidInput(str(problem), field="where") from None


def _elements(said: str) -> list[str]:
    """H, O or H-O: chemical symbols. Raises InvalidInput."""
    found = [word.capitalize() for word in said.replace(",", " ").replace("-", " ").split()]
    unknown = [word[:10] for word in found if word not in SYMBOLS]
    if unknown:
        raise InvalidInput(f"{', '.join(unknown)} is no chemical symbol", field="filters.elements")
    return found


def _included(asked: Mapping[str, Any]) -> tuple[str, ...]:
    said = asked.get("include", DEFAULT)
    if isinstance(said, str):
        said = said.split(",")
    if not isinstance(said, list | tuple) or len(said) > MOST_INCLUDED:
        raise InvalidInput(f"must be a list of at most {MOST_INCLUDED} names", field="include")
    return tuple(dict.fromkeys(str(name).strip()[:80] for name in said if str(name).strip()))
