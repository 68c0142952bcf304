"""The contract of a kind of export, and the two families: of one calculation, of a set of runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

from calculations.exports.runset import RunSet
from calculations.models import Calculation
from calculations.states import CalculationState
from labportal.accounts.models import User
from labportal.common.errors import InvalidInput, NotFound, WrongMoment

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, checked: `stored` says it again at any time; `about` is what it is of."""

    stored: dict[str, Any]
    label: str
    file_name: str
    about: Any


class Kind(ABC):
    """One form of file. Instances hold no state; one serves all exports.

    `of`  "calculation" or "set"
    """

    name: ClassVar[str]
    label: ClassVar[str]
    help: ClassVar[str]
    of: ClassVar[str]
    content_type: ClassVar[str]

    @abstractmethod
    def check(self, asked: Mapping[str, Any], user: User) -> Asked:
        """Read what was asked for, as this person may see it. Raises DomainError."""

    @abstractmethod
    def write(self, asked: Asked, stream: BinaryIO, progress: Progress) -> None:
        """Write the file; `progress(done, of)` may raise, and is then let through."""

    @abstractmethod
    def projects(self, asked: Asked) -> set[int]:
        """The keys of the projects whose data the file holds, once it is written."""


class OfCalculation(Kind):
    """Asked by {"calculation": its number}."""

    of = "calculation"
    ending: ClassVar[str]
    drafts = False

    def check(self, asked: Mapping[str, Any], user: User) -> Asked:
        calculation = _calculation(asked.get("calculation"), user)
        if calculation.state == CalculationState.DRAFT:
            raise WrongMoment(
                f"{calculation.number} is a draft: there is something to export once it has been "
                "submitted."
            )
        stored = {"calculation": calculation.pk, **self.options(asked)}
        label = f"{calculation.number} {calculation.name}"
        return Asked(stored, label[:200], f"{calculation.number}-{self.ending}", calculation)

    def options(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What else may be chosen, checked. Raises InvalidInput."""
        return {}

    def projects(self, asked: Asked) -> set[int]:
        return {asked.about.project_id}


def _calculation(said: Any, user: User) -> Calculation:
    word = str(said if said is not None else "").upper().removeprefix("C-")
    if not (word.isascii() and word.isdecimal()) or len(word) > 18:
        raise InvalidInput("name the calculation by its number", field="calculation")
    rows = Calculation.objects.visible_to(user).filter(pk=int(word))
    related = ("project", "created_by", "cluster", "copied_from")
    found = rows.select_related(*related).first()
    if found is None:
        raise NotFound(f"There is no calculation C-{word}, or it is in a project of others.")
    return found


class OfSet(Kind):
    """Asked by {"filters", "standing", "include", "note"}, as runset.py reads them."""

    of = "set"
    ending: ClassVar[str]

    def check(self, asked: Mapping[str, Any], user: User) -> Asked:
        chosen = RunSet.read(asked, user)
        name = f"labportal-{chosen.standing}-runs.{self.ending}"
        return Asked(chosen.stored(), chosen.label()[:200], name, chosen)

    def projects(self, asked: Asked) -> set[int]:
        return asked.about.seen
