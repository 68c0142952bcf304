"""How long things are kept: raw files on clusters, log lines, metrics."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import F

from calculations.models import LabSettings, Run
from calculations.software.registry import get_software
from calculations.states import TERMINAL, CalculationState
from clusters.models import Cluster, LogLine, Metrics, Purge
from clusters.placement import call
from labportal.common.clock import now

METRICS_DAYS = 30
BATCH = 1000


def schedule_purges() -> int:
    """Order the deletion of raw files of calculations that ended long enough ago; return how many
    runs.

    Only where the results are stored: a run that is not valid keeps its files until its calculation
    is settled, and a calculation with `keep_files` keeps them for good.
    """
    before = now() - timedelta(days=LabSettings.current().retention_days)
    due = (
        Run.objects.filter(
            calculation__state__in=TERMINAL,
            calculation__finished_at__lt=before,
            calculation__keep_files=False,
            cluster__isnull=False,
        )
        .select_related("calculation")
        .order_by("pk")[:BATCH]
    )
    with transaction.atomic():
        orders = Purge.objects.bulk_create(
            (Purge(run=run, cluster_id=run.cluster_id, keep=_keep(run)) for run in due),
            ignore_conflicts=True,
        )
        clusters = {order.cluster_id for order in orders}
        for cluster_id in clusters:
            count = sum(order.cluster_id == cluster_id for order in orders)
            Cluster.objects.filter(pk=cluster_id).update(purges_pending=F("purges_pending") + count)
        call(clusters)
    return len(orders)


def _keep(run: Run) -> list[str]:
    """A run that could still be continued from keeps the files that its successor would take."""
    if run.calculation.state == CalculationState.VALID:
        return []
    return list(get_software(run.calculation.software).carry)


def forget_old() -> int:
    """Delete metrics and log lines beyond their time; return how many rows."""
    moment = now()
    lines_before = moment - timedelta(days=LabSettings.current().log_retention_days)
    metrics, _ = Metrics.objects.filter(at__lt=moment - timedelta(days=METRICS_DAYS)).delete()
    lines, _ = LogLine.objects.filter(at__lt=lines_before).delete()
    return metrics + lines
