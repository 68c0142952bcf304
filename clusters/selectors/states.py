"""A cluster's state as people read it: one word, its colour, and why. Pages, the API and the
command line show nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clusters.models import Cluster


@dataclass(frozen=True, slots=True)
class Standing:
    """`state` gives the dot's colour, `label` is the word that is read."""

    state: str
    label: str
    why: str = ""


# In the order of lists: those that work first, those that nobody waits for last.
ORDER = ("online", "draining", "drained", "held", "silent", "disabled")


def standing_of(cluster: Cluster, leased: int, moment: datetime) -> Standing:
    """What people decided comes before what is heard; a machine that rests may be switched off."""
    note = cluster.maintenance_note
    ends = f"{leased} run{'' if leased == 1 else 's'} still end{'s' if leased == 1 else ''}"
    if not cluster.enabled:
        return Standing("disabled", "Disabled", _joined(ends if leased else "", note))
    if cluster.draining and not leased:
        return Standing("drained", "Drained", note or "nothing new goes there")
    if cluster.last_exchange_at is None:
        return Standing("disabled", "Never heard", "waits for its agent")
    if cluster.is_silent(moment):
        return Standing("silent", "Silent", note)
    if cluster.held_at is not None:
        return Standing("held", "Held", cluster.held_reason)
    if cluster.draining:
        return Standing("draining", "Draining", _joined(ends, note))
    if cluster.on_trial:
        return Standing("online", "Online", "on trial: one run goes first")
    return Standing("online", "Online")


def _joined(*parts: str) -> str:
    return ": ".join(part for part in parts if part)
