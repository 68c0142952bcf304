"""The circuit breaker: a cluster that loses run after run is held, until an admin lets work in.

Called by the exchange, under the cluster's row lock, and by `services.operation.release`. Let in
again, it is on trial: its next run, alone, closes the breaker or opens it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from calculations.models import Attempt, Run
from clusters import rows
from clusters.models import HELD_AFTER, Cluster
from labportal.accounts.models import User
from labportal.accounts.roles import Role
from labportal.audit.services import record
from labportal.common.clock import now
from labportal.notifications.services import Level, notify


def note(cluster: Cluster, *, lost: Sequence[Run], finished: int) -> None:
    """Count runs that the hardware lost, each once: one that is lost again may itself be the cause.

    What a program ended by itself shows that the hardware works. Runs lost because the whole
    cluster fell silent do not come here: it is not asked then anyway.
    """
    if finished and cluster.lost_in_a_row:
        cluster.lost_in_a_row = 0
        rows.save(cluster, ["lost_in_a_row"])
    if not lost or cluster.held_at is not None:
        return
    if cluster.on_trial:
        _hold(cluster, f"the run on trial was lost: {lost[-1].reason}")
        return
    cluster.lost_in_a_row += len(lost) - _lost_before(cluster, lost)
    rows.save(cluster, ["lost_in_a_row"])
    if cluster.lost_in_a_row >= HELD_AFTER:
        _hold(cluster, f"{cluster.lost_in_a_row} runs were lost in a row; {lost[-1].reason}")


def _lost_before(cluster: Cluster, lost: Sequence[Run]) -> int:
    earlier = Attempt.objects.filter(cluster=cluster, run__in=lost, ending=Attempt.Ending.LOST)
    numbers = {run.pk: run.attempt for run in lost}
    known = {run for run, number in earlier.values_list("run", "number") if number < numbers[run]}
    return len(known)


def hear(cluster: Cluster, capacity: Mapping[str, Any]) -> bool:
    """Take in that the agent's own breaker is open; return whether it is to be told to close it."""
    why = capacity.get("held")
    if not why:
        return False
    if cluster.held_at is None and not cluster.on_trial:
        cluster.lost_in_a_row = max(cluster.lost_in_a_row, HELD_AFTER)
        _hold(cluster, f"its agent says: {why}")
    return cluster.on_trial


def _hold(cluster: Cluster, reason: str) -> None:
    cluster.held_at, cluster.held_reason = now(), reason[:300]
    rows.save(cluster, ["held_at", "held_reason", "lost_in_a_row"])


def announce(cluster: Cluster, held_before: datetime | None) -> None:
    """Put on record, and tell admins, that it has been held since. The last in a transaction: who
    holds the audit trail waits for nothing more.
    """
    if cluster.held_at is None or held_before is not None:
        return
    record(None, "cluster.hold", target=cluster.name, detail={"reason": cluster.held_reason})
    notify(
        User.objects.filter(role=Role.ADMIN, is_active=True),
        level=Level.ERROR,
        subject=f"Cluster {cluster.name} is held",
        body=(
            f"Nothing new goes there: {cluster.held_reason}. What waits for it waits on. Look at "
            "its log; once it is mended, let work in again on its page: one run goes first."
        ),
        url=cluster.get_absolute_url(),
        key=f"held:{cluster.pk}:{cluster.held_at:%Y%m%dT%H%M%S.%f}",
    )
