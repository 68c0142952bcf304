"""The lab's licences and how many seats are taken at the moment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from clusters import queueing
from clusters.models import Licence
from clusters.ranking import seats_of
from labportal.common.clock import now


@dataclass(frozen=True, slots=True)
class Seats:
    licence: Licence
    taken: int

    @property
    def dialog(self) -> str:
        return f"remove-{self.licence.pk}"


def licences() -> list[Seats]:
    rows = list(Licence.objects.all())
    known = {row.name: row.seats for row in rows}
    taken: Counter[str] = Counter()
    for runs in queueing.leased(now()).values() if rows else ():
        for one in runs:
            taken.update(dict(seats_of(one.need, known)))
    return [Seats(row, taken[row.name]) for row in rows]
