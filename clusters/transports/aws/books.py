"""The portal's books as this cluster's agent: who works on what, what was said, what failed.

Rows count; no memory of a process does. What a killed worker held is free again by its expiry.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, Sum

from clusters.agent.protocol import AgentState, EventKind, LogService, timestamp
from clusters.models import AwsAccess, AwsExecution
from clusters.transports.aws.troubles import HOLDING
from clusters.transports.trials import Trouble
from labportal.common.clock import now
from labportal.realtime.events import publish

BUSY = timedelta(seconds=120)  # renewed while work goes on
LOOK = timedelta(seconds=10)  # between two looks at an execution
EXCHANGE = timedelta(seconds=30)
FIRST_PAUSE_S, LONGEST_PAUSE_S, TRIES = 20.0, 900.0, 5
MOST_UNSENT = 1000
SETTLED = frozenset({AgentState.FINISHED, AgentState.CANCELLED, AgentState.LOST})


def is_settled(execution: AwsExecution) -> bool:
    return AgentState(execution.state) in SETTLED


def claim(execution_id: int) -> AwsExecution | None:
    """Return the execution where nobody else works on it and it is time, else None."""
    moment = now()
    free = Q(busy_until=None) | Q(busy_until__lt=moment)
    asked_for = ~Q(cancel_why="") | Q(abandoned=True)
    due = Q(looked_at=None) | Q(looked_at__lte=moment - LOOK) | asked_for
    found = AwsExecution.objects.filter(free, due, pk=execution_id)
    if not found.update(busy_until=moment + BUSY, looked_at=moment):
        return None
    return AwsExecution.objects.select_related("cluster__aws").get(pk=execution_id)


def renew(execution: AwsExecution) -> None:
    AwsExecution.objects.filter(pk=execution.pk).update(busy_until=now() + BUSY)


def renew_sometimes(execution: AwsExecution) -> None:
    """Renew where a good part of the time is over; cheap to be called often, by any thread."""
    if execution.busy_until is None or execution.busy_until - now() < BUSY / 2:
        execution.busy_until = now() + BUSY
        renew(execution)


def release(execution: AwsExecution) -> None:
    AwsExecution.objects.filter(pk=execution.pk).update(busy_until=None)


def move(execution: AwsExecution, state: AgentState, **columns: Any) -> None:
    """Write down another state; `columns` with it."""
    columns = {"state": state.value, "since": now(), "waits_for": "", **columns}
    for name, value in columns.items():
        setattr(execution, name, value)
    execution.save(update_fields=list(columns))


@transaction.atomic
def make_room(execution: AwsExecution, functions: int) -> int:
    """Reserve so many functions for it; return how many are in use by others where there is no
    room, else 0.
    """
    access = AwsAccess.objects.select_for_update().get(cluster=execution.cluster_id)
    others = AwsExecution.objects.filter(
        cluster=execution.cluster_id,
        state__in=[s.value for s in AgentState if s not in SETTLED],
    ).exclude(pk=execution.pk)
    used = others.aggregate(n=Sum("functions"))["n"] or 0
    if used and used + functions > access.most_at_once:
        return int(used)
    execution.functions = functions
    execution.save(update_fields=["functions"])
    return 0


@transaction.atomic
def say(access: AwsAccess, text: str, *, run: Any = None, level: str = "INFO") -> None:
    """Add a line to the log that the portal takes with the next exchange."""
    locked = AwsAccess.objects.select_for_update().get(pk=access.pk)
    locked.seq += 1
    line = {
        "seq": locked.seq,
        "at": timestamp(now().timestamp()),
        "kind": EventKind.LOG.value,
        "run": str(run) if run else None,
        "service": LogService.PROGRAM.value if run else LogService.AGENT.value,
        "level": level,
        "text": text[:2000],
    }
    locked.unsent = [*locked.unsent, line][-MOST_UNSENT:]
    locked.save(update_fields=["seq", "unsent"])


def may_go(access: AwsAccess) -> bool:
    moment = now()
    return access.held_at is None and (access.not_before is None or access.not_before <= moment)


def worked(access: AwsAccess) -> None:
    troubled = Q(failures__gt=0) | ~Q(last_error="")
    found = AwsAccess.objects.filter(troubled, pk=access.pk)
    AwsAccess.objects.filter(pk=access.pk).update(last_try_at=now())
    if found.update(failures=0, last_error="", not_before=None):
        _tell(access)


@transaction.atomic
def failed(access: AwsAccess, trouble: Trouble) -> None:
    """Wait longer after each failure in a row; after some of them, for an operator."""
    locked = AwsAccess.objects.select_for_update().get(pk=access.pk)
    moment = now()
    locked.failures += 1
    pause = min(FIRST_PAUSE_S * 2 ** min(locked.failures - 1, 10), LONGEST_PAUSE_S)
    locked.not_before = moment + timedelta(seconds=pause)
    locked.last_error, locked.last_try_at = str(trouble)[:500], moment
    if trouble.code in HOLDING or locked.failures >= TRIES:
        locked.held_at = locked.held_at or moment
    locked.save(update_fields=["failures", "not_before", "last_error", "last_try_at", "held_at"])
    _tell(access)


def resume(cluster_id: int) -> None:
    """Forget the failures, so that the next step is tried at once."""
    AwsAccess.objects.filter(cluster=cluster_id).update(
        failures=0, last_error="", not_before=None, held_at=None
    )


def due_exchanges(moment: datetime) -> list[int]:
    """Return the clusters whose books should be exchanged now."""
    late = Q(exchanged_at=None) | Q(exchanged_at__lte=moment - EXCHANGE)
    wanted = Q(cluster__desired__gt=F("told"))
    ended = Q(cluster__aws_executions__state__in=[s.value for s in SETTLED])
    found = AwsAccess.objects.filter(late | wanted | ended).exclude(state_machine_arn="")
    return list(found.values_list("cluster_id", flat=True).distinct())


def due_executions(moment: datetime) -> list[int]:
    """Return the executions at which somebody should look."""
    reachable = Q(cluster__aws__not_before=None) | Q(cluster__aws__not_before__lte=moment)
    free = Q(busy_until=None) | Q(busy_until__lt=moment)
    due = Q(looked_at=None) | Q(looked_at__lte=moment - LOOK)
    open_ones = ~Q(state__in=[s.value for s in SETTLED]) | Q(abandoned=True)
    found = AwsExecution.objects.filter(reachable, free, due, open_ones, cluster__aws__held_at=None)
    return list(found.values_list("pk", flat=True))


def _tell(access: AwsAccess) -> None:
    publish(f"cluster:{access.cluster_id}", "cluster.changed", {"id": access.cluster_id})
