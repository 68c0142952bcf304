"""Telling a cluster that something is wanted of it, whatever carries its exchanges.

Each carrier registers how its agents are called; the others are found by the rhythm of the beat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from django.db import transaction
from django.db.models import F

from clusters.models import Cluster
from labportal.common.wake import wake

Caller = Callable[[int], None]

_callers: dict[str, Caller] = {}


def wake_channel(cluster_id: int) -> str:
    return f"cluster:{cluster_id}"


def register_caller(carrier: Cluster.Carrier, caller: Caller) -> None:
    """Have `caller(cluster id)` called after commit; it must not raise because a broker is gone."""
    _callers[carrier.value] = caller


@transaction.atomic
def call(cluster_ids: Iterable[int]) -> None:
    """Note that something is wanted of these clusters, and wake their agents on commit."""
    ids = set(cluster_ids)
    in_order = Cluster.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk")
    carriers = list(in_order.values_list("pk", "carrier"))  # two callers never wait in turns
    Cluster.objects.filter(pk__in=ids).update(desired=F("desired") + 1)
    for cluster_id, carrier in carriers:
        if carrier in _callers:
            transaction.on_commit(partial(_callers[carrier], cluster_id), robust=True)
        else:
            wake(wake_channel(cluster_id))
