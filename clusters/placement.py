"""Hands waiting runs to clusters, and says why the others wait. Called by Celery tasks.

It reads, orders (ranking.py) and leases in one transaction under one lock, so that no cap is passed
by two rounds at once; agents are woken on commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from calculations.models import Calculation, LabSettings, Run
from calculations.services.execution import assign
from calculations.states import RunState
from clusters import queueing, serving, usage, waiting
from clusters.calling import call
from clusters.fairshare import Ledger
from clusters.leases import lease_from
from clusters.models import Cluster, Licence
from clusters.ranking import Ask, Plan, Round, Rules
from clusters.rooms import Leased, Room, room_of
from clusters.shapes import Shapes, looking
from labportal.accounts.models import Project
from labportal.common.clock import now
from labportal.realtime.events import publish

PLACEMENT_LOCK = 0x4C_50_01  # an arbitrary number, the same in every process
MOST_TOLD_LIVE = 100  # calculations whose open pages hear why they wait now


@transaction.atomic
def place(*, explain: bool = False) -> int:
    """Hand out as many queued runs as fit; return how many. Two callers take turns.

    `explain`: look at the whole queue and say anew why each waits; else only of runs of which
    nothing was said yet.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PLACEMENT_LOCK])
    depth = queueing.depth()
    if not depth:
        return 0
    moment = now()
    clusters = {cluster.pk: cluster for cluster in Cluster.objects.all()}
    plan = _plan(clusters, moment, whole=explain or depth <= queueing.SHALLOW)
    placed = _lease(plan, clusters, moment)
    changed = waiting.write(waiting.sentences(plan), only_new=not explain)
    _tell_of(changed)
    return placed


def _plan(clusters: Mapping[int, Cluster], moment: datetime, *, whole: bool) -> Plan:
    held = queueing.leased(moment)
    leased = [one for runs in held.values() for one in runs]
    stamp, served = moment.timestamp(), serving.held()
    rooms = {
        key: room_of(cluster, held.get(key, ()), served=served.get(key, ()), now=stamp)
        for key, cluster in clusters.items()
        if cluster.takes_work(moment)
    }
    settings = LabSettings.current()
    rules = rules_of(settings)
    parameters = _Parameters()
    shapes = Shapes(list(clusters.values()), rooms, rules.seats, parameters.of, moment)
    free = sum(max(0, room.free.slots) for room in rooms.values())
    if not free and not whole:
        return Plan()
    most = None if whole or free > 10 * queueing.SHALLOW else free + 1
    asks = queueing.asks(shapes.shape_of, looking=looking(), most=most)
    ledger = _ledger(asks, held, rooms, rules, usage.half_life_s(settings), moment)
    return Round(rooms.values(), leased, rules, now=stamp).hand_out(asks, ledger)


def rules_of(settings: LabSettings) -> Rules:
    return Rules(
        aging_s=settings.aging_days * 86400.0,
        gpu_weight=settings.gpu_weight,
        per_user=settings.runs_per_user,
        per_project=settings.runs_per_project,
        tolerance=settings.price_tolerance_percent / 100.0,
        dearer_after_s=settings.dearer_after_min * 60.0,
        seats=dict(Licence.objects.values_list("name", "seats")),
    )


class _Parameters:
    """Parameters of the few calculations whose programs look at them."""

    def __init__(self) -> None:
        self._known: dict[int, Mapping[str, Any]] = {}

    def of(self, calculation: int) -> Mapping[str, Any]:
        if calculation not in self._known:
            rows = Calculation.objects.filter(software__in=looking(), runs__state=RunState.QUEUED)
            self._known.update(rows.values_list("pk", "parameters"))
        return self._known[calculation]


def _ledger(
    asks: Sequence[Ask],
    held: Mapping[int, Sequence[Leased]],
    rooms: Mapping[int, Room],
    rules: Rules,
    half_life_s: float,
    moment: datetime,
) -> Ledger:
    """What was used, with what is under way; nothing is read where one account waits alone."""
    accounts = {ask.account for ask in asks}
    if len(accounts) < 2:
        return Ledger({}, accounts)
    used = usage.used(moment, half_life_s)
    for key, runs in held.items():
        for one in runs:
            room = rooms.get(key)
            spent = max(one.elapsed_s, room.expected_s(one.need) if room else 0.0)
            used[one.account] = used.get(one.account, 0.0) + rules.weight(one.need) * spent
            accounts.add(one.account)
    projects = {project for project, _ in (*accounts, *used)}
    shares = dict(Project.objects.filter(pk__in=projects).values_list("pk", "shares"))
    return Ledger(used, accounts, shares)


def _lease(plan: Plan, clusters: Mapping[int, Cluster], moment: datetime) -> int:
    """Lock what was chosen and is still queued, and hand it out."""
    if not plan.placed:
        return 0
    chosen = {ask.key: clusters[room.key] for ask, room in plan.placed}
    runs = (
        Run.objects.filter(pk__in=list(chosen), state=RunState.QUEUED)
        .select_for_update(of=("self",), skip_locked=True, no_key=True)
        .only("calculation_id", "index", "state", "attempt")
    )
    pairs = [(run, chosen[run.pk]) for run in runs]
    if pairs:
        assign(pairs, expires_at=lease_from(moment))
        called = {cluster.pk for _, cluster in pairs}
        # Afterwards: an exchange holds its cluster's row while it waits for runs, as we hold runs.
        transaction.on_commit(lambda: call(called), robust=True)
    return len(pairs)


def _tell_of(runs: Sequence[object]) -> None:
    """Have open pages of these runs' calculations drawn anew; of many, the first."""
    if not runs:
        return
    rows = Run.objects.filter(pk__in=runs[:MOST_TOLD_LIVE]).order_by()
    for key, state in rows.values_list("calculation_id", "calculation__state").distinct():
        publish(f"calculation:{key}", "calculation.changed", {"id": key, "state": state})
