"""What the form tells of the clusters: the limits of the chosen one, or which of all can run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculations.forms import DraftForm
from calculations.services import asking
from calculations.services.drafts import clusters
from calculations.software.base import Resources

MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Site:
    """`chosen` is a cluster or None, `problem` why it can never run this, with the remedy. Of all
    that have the program `able` are names, `unable` says of the others why they cannot.

    The rest is offered beside the fields: of the chosen cluster, else of all.
    """

    chosen: Any
    problem: str
    able: Sequence[str]
    unable: Sequence[str]
    partitions: Sequence[tuple[str, str]]
    accounts: Sequence[str]
    qos: Sequence[str]
    gpu_types: Sequence[str]
    licences: Mapping[str, int]


def site_of(form: DraftForm, asked: Resources | None) -> Site:
    """Look at every cluster once; `asked` is None while what was entered makes no sense."""
    known = list(clusters().filter(enabled=True))
    wanted = form["cluster"].value()
    chosen = next((one for one in known if one.name == getattr(wanted, "name", wanted)), None)
    offering = [cluster for cluster in known if cluster.offers(form.software.name)]
    why = {c.name: asking.cluster_problem(c, asked) if asked else "" for c in offering}
    limits = [(one, one.limits) for one in (known if chosen is None else [chosen])]
    return Site(
        chosen=chosen,
        problem=asking.cluster_problem(chosen, asked) if chosen and asked else "",
        able=[name for name, words in why.items() if not words][:MOST_NAMED],
        unable=[words for words in why.values() if words][:MOST_NAMED],
        partitions=[
            (one.name, "" if chosen else cluster.name)
            for cluster, of_site in limits
            for one in of_site.partitions
        ],
        accounts=_once(name for _, of_site in limits for name in of_site.accounts),
        qos=_once(name for _, of_site in limits for name in of_site.qos),
        gpu_types=_once(name for _, of_site in limits for name in of_site.gpus),
        licences=asking.licences(),
    )


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))
