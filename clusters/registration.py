"""What clusters announce to the shared rooms at start: topics, listeners. Called by the AppConfig alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from calculations import signals
from clusters.models import Cluster
from clusters.placement import call
from clusters.tasks import want_place
from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.realtime.topics import register_topic


def register() -> None:
    register_topic("cluster", _may_hear_cluster)
    register_topic("logs", _may_hear_logs)
    signals.work_queued.connect(want_place, dispatch_uid="clusters.place")
    signals.settled.connect(want_place, dispatch_uid="clusters.place_next")
    signals.cancel_requested.connect(_call, dispatch_uid="clusters.cancel")


def _may_hear_cluster(user: User, key: str) -> bool:
    return can(user, Can.SIGN_IN) and key.isdecimal() and Cluster.objects.filter(pk=key).exists()


def _may_hear_logs(user: User, key: str) -> bool:
    return can(user, Can.SIGN_IN)


def _call(cluster_ids: Iterable[int], **_: Any) -> None:
    call(set(cluster_ids))
