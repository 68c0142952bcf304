"""Which calculations are compared, in which order, with which of them as reference."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.db.models import Q

from calculations.models import Calculation
from labportal.accounts.models import User
from labportal.common.errors import InvalidInput, NotFound

LEAST, MOST, MOST_OFFERED = 2, 20, 6
NUMBER = re.compile(r"(?:[cC]-)?(\d{1,15})")


@dataclass(frozen=True, slots=True)
class Asked:
    """`reference` is one of the ids; the address holds nothing else."""

    ids: tuple[int, ...]
    reference: int

    def query(self) -> str:
        pairs = [("id", str(key)) for key in self.ids]
        if self.ids and self.reference != self.ids[0]:
            pairs.append(("ref", str(self.reference)))
        return urlencode(pairs)

    def without(self, key: int) -> Asked:
        rest = tuple(one for one in self.ids if one != key)
        return Asked(rest, self.reference if self.reference in rest else (rest or (0,))[0])

    def before(self, key: int) -> Asked:
        """The same with this one a place earlier."""
        ids = list(self.ids)
        place = ids.index(key)
        if place:
            ids[place - 1], ids[place] = ids[place], ids[place - 1]
        return replace(self, ids=tuple(ids))


def read(numbers: Sequence[str], query: Mapping[str, str]) -> Asked:
    """Raises InvalidInput for what is no number, and for more than MOST."""
    ids: list[int] = []
    for text in (part for number in numbers for part in number.replace(",", " ").split()):
        found = NUMBER.fullmatch(text)
        if found is None:
            raise InvalidInput(f"“{text[:30]}” is no calculation; write C-12 or 12.", field="id")
        ids.append(int(found[1]))
    once = tuple(dict.fromkeys(ids))
    if len(once) > MOST:
        raise InvalidInput(
            f"At most {MOST} calculations are compared; these are {len(once)}.", field="id"
        )
    reference = NUMBER.fullmatch(query.get("ref", ""))
    chosen = int(reference[1]) if reference else 0
    return Asked(once, chosen if chosen in once else (once or (0,))[0])


def calculations_of(asked: Asked, user: User) -> list[Calculation]:
    """In the order asked for. Raises NotFound where the person does not see one of them."""
    related = ("project", "created_by", "cluster", "structure", "standing_by")
    rows = Calculation.objects.visible_to(user).filter(pk__in=asked.ids)
    found = {one.pk: one for one in rows.select_related(*related).defer("structure__content")}
    missing = [f"C-{key}" for key in asked.ids if key not in found]
    if missing:
        raise NotFound(
            f"There is no calculation {', '.join(missing)}, or it is in a project of others."
        )
    return [found[key] for key in asked.ids]


def candidates(asked: Asked, shown: Sequence[Calculation], user: User) -> list[Calculation]:
    """What one may want beside them: sources, copies, and others of the same structure."""
    rows = Calculation.objects.visible_to(user).exclude(pk__in=asked.ids)
    related = Q(copied_from__in=asked.ids)
    related |= Q(pk__in=[c.copied_from_id for c in shown if c.copied_from_id])
    related |= Q(structure__in=[c.structure_id for c in shown if c.structure_id])
    return list(rows.filter(related).order_by("-pk")[:MOST_OFFERED])
