"""How often a site is gone to, and when it is left alone: one place for every worker.

Rows under the lock of the site's access count; no memory of a process does. A session whose worker
died ends by its expiry.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from clusters.models import Cluster, SshAccess, SshSession
from clusters.transports.ssh.troubles import FEW_TRIES, HOLDING, Code
from clusters.transports.trials import Trouble
from labportal.common.clock import now
from labportal.realtime.events import publish

EXPIRY = timedelta(seconds=60)  # renewed while a session goes on
MINUTE = timedelta(seconds=60)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 20.0, 900.0
TRIES, TRIES_OF_SIGN_IN = 5, 3  # failures in a row after which an operator is waited for
KEEP = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Denied(Exception):
    """Not now; `until` is the moment from which it makes sense to ask again, None: by a person."""

    why: str
    until: datetime | None = None


@transaction.atomic
def claim(access: SshAccess, kind: SshSession.Kind) -> SshSession:
    """Return a session that the site's budget allows. Raises Denied."""
    locked = SshAccess.objects.select_for_update().get(pk=access.pk)
    moment = now()
    sessions = SshSession.objects.filter(cluster=locked.cluster_id)
    open_now = list(sessions.filter(ended_at=None, expires_at__gt=moment))
    if kind is SshSession.Kind.EXCHANGE:
        if locked.held_at:
            raise Denied("held for an operator")
        if locked.not_before and locked.not_before > moment:
            raise Denied("it failed a moment ago", locked.not_before)
        if any(one.kind == SshSession.Kind.EXCHANGE for one in open_now):
            raise Denied("an exchange goes on")
    if len(open_now) >= locked.most_at_once:
        raise Denied("as many sessions as the site allows go on", open_now[0].expires_at)
    recent = sessions.filter(began_at__gt=moment - MINUTE).order_by("began_at")
    begun = list(recent.values_list("began_at", flat=True))
    if len(begun) >= locked.most_per_minute:
        free = begun[len(begun) - locked.most_per_minute] + MINUTE
        raise Denied("as often as the site allows in a minute", free)
    SshAccess.objects.filter(pk=locked.pk).update(last_try_at=moment)
    return SshSession.objects.create(
        cluster_id=locked.cluster_id, kind=kind, began_at=moment, expires_at=moment + EXPIRY
    )


def renew(session: SshSession) -> None:
    """Say that it goes on."""
    SshSession.objects.filter(pk=session.pk).update(
        expires_at=now() + EXPIRY,
        exchanges=session.exchanges,
        bytes_sent=session.bytes_sent,
        bytes_fetched=session.bytes_fetched,
    )


def end(session: SshSession, trouble: Trouble | None = None) -> None:
    """Close the books of a session, and of the site by how it ended."""
    session.ended_at = now()
    if trouble is not None:
        session.code, session.words = trouble.code.value, str(trouble)[:500]
    session.save()
    if session.kind == SshSession.Kind.EXCHANGE:
        _worked(session) if trouble is None else failed(session.cluster_id, trouble)
    elif trouble is not None and trouble.code is Code.HOST_KEY:
        failed(session.cluster_id, trouble)
    elif session.kind == SshSession.Kind.TEST and trouble is None:
        resume(session.cluster_id)
    publish(f"cluster:{session.cluster_id}", "cluster.changed", {"id": session.cluster_id})


def _worked(session: SshSession) -> None:
    troubled = Q(failures__gt=0) | ~Q(last_error="")
    SshAccess.objects.filter(troubled, cluster=session.cluster_id).update(
        failures=0, last_error="", not_before=None
    )


@transaction.atomic
def failed(cluster_id: int, trouble: Trouble) -> None:
    """Wait longer after each failure in a row; after some of them, for an operator."""
    access = SshAccess.objects.select_for_update().get(cluster=cluster_id)
    moment = now()
    access.failures += 1
    pause = min(FIRST_PAUSE_S * 2 ** min(access.failures - 1, 10), LONGEST_PAUSE_S)
    access.not_before = moment + timedelta(seconds=pause)
    access.last_error = str(trouble)[:500]
    few = trouble.code in FEW_TRIES
    if trouble.code in HOLDING or access.failures >= (TRIES_OF_SIGN_IN if few else TRIES):
        access.held_at = access.held_at or moment
    access.save(update_fields=["failures", "not_before", "last_error", "held_at"])


def resume(cluster_id: int) -> None:
    """Forget the failures, so that the next exchange is tried at once."""
    SshAccess.objects.filter(cluster=cluster_id).update(
        failures=0, last_error="", not_before=None, held_at=None
    )


def due(moment: datetime) -> list[int]:
    """Return the clusters that should be gone to: something is wanted of them, or it is time."""
    found = SshAccess.objects.filter(
        Q(not_before=None) | Q(not_before__lte=moment),
        cluster__carrier=Cluster.Carrier.SSH,
        held_at=None,
    ).exclude(sealed_key="")
    return [
        access.cluster_id
        for access in found.exclude(host_keys="").select_related("cluster")
        if access.cluster.desired > access.told
        or access.last_try_at is None
        or moment - access.last_try_at >= timedelta(seconds=access.exchange_s)
    ]


def forget_old() -> int:
    deleted, _ = SshSession.objects.filter(began_at__lt=now() - KEEP).delete()
    return deleted
