"""Heartbeats of the clusters' machines, and their summaries."""

from __future__ import annotations

from django.db import models

from clusters.models.cluster import Cluster


class Metrics(models.Model):
    """One heartbeat: what a cluster's machine did at that moment."""

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="metrics")
    at = models.DateTimeField()
    cpu_percent = models.FloatField(null=True)
    memory_mib = models.FloatField(null=True)
    memory_total_mib = models.FloatField(null=True)
    load1 = models.FloatField(null=True)
    disk_free_mib = models.FloatField(null=True)
    gpus = models.JSONField(default=list)
    # What the scheduler tells of the whole site: {"nodes": {…}, "cores": {…}, "jobs": {…}}.
    site = models.JSONField(null=True)

    class Meta:
        indexes = [models.Index(fields=["cluster", "-at"], name="metrics_by_time")]
        verbose_name_plural = "metrics"

    def __str__(self) -> str:
        return f"{self.cluster_id} at {self.at:%H:%M:%S}"


class MetricsSummary(models.Model):
    """`step_s` seconds of heartbeats in one row: `values` by the charts' names as
    [least, mean, most, how many].
    """

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="metrics_summaries")
    step_s = models.PositiveIntegerField()
    at = models.DateTimeField()  # the beginning
    count = models.PositiveIntegerField()
    values = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "metrics summaries"
        constraints = [
            models.UniqueConstraint(fields=["cluster", "step_s", "at"], name="metrics_summary_once")
        ]

    def __str__(self) -> str:
        return f"{self.cluster_id} from {self.at:%Y-%m-%d %H:%M:%S}, {self.step_s} s"


class MetricsMark(models.Model):
    """Up to which heartbeat a cluster's metrics are summarised; `at`: when somebody looked."""

    cluster = models.OneToOneField(Cluster, models.CASCADE, related_name="metrics_mark")
    upto = models.PositiveBigIntegerField(default=0)
    at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.cluster_id} up to {self.upto}"
