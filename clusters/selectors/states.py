"""A cluster's state as people read it: one word, its colour, and why. Pages, the API and the
command line show nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clusters.abilities import plural
from clusters.models import Cluster


@dataclass(frozen=True, slots=True)
class Standing:
    """`state` gives the dot's colour, `label` is the word that is read."""

    state: str
    label: str
    why: str = ""


# In the order of lists: those that work first, those that nobody waits for last.
ORDER = ("online", "draining", "drained", "held", "silent", "disabled")


def standing_of(cluster: Cluster, leased: int, moment: datetime, *, served: int = 0) -> Standing:
    """What people decided comes before what is heard; a machine that rests may be switched off.

    `leased`: its runs, `served`: the servers of models on it.
    """
    note = cluster.maintenance_note
    ends = _ends(leased, served)
    if not cluster.enabled:
        return Standing("disabled", "Disabled", _joined(ends, note))
    if cluster.draining and not ends:
        return Standing("drained", "Drained", note or "nothing new goes there")
    if cluster.last_exchange_at is None:
        why = "the portal was not there yet" if cluster.is_visited else "waits for its agent"
        return Standing("disabled", "Never heard", why)
    if cluster.is_silent(moment):
        return Standing("silent", "Silent", note)
    if cluster.held_at is not None:
        return Standing("held", "Held", cluster.held_reason)
    if cluster.draining:
        return Standing("draining", "Draining", _joined(ends, note))
    if cluster.on_trial:
        return Standing("online", "Online", "on trial: one run goes first")
    return Standing("online", "Online")


def _ends(leased: int, served: int) -> str:
    parts = [(leased, "run"), (served, "server of models")]
    words = [f"{count} {plural(what, count)}" for count, what in parts if count]
    if not words:
        return ""
    return f"{' and '.join(words)} still end{'s' if leased + served == 1 else ''}"


def _joined(*parts: str) -> str:
    return ": ".join(part for part in parts if part)
