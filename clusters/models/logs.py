"""Lines of logs that agents send."""

from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from clusters.models.cluster import Cluster


class LogLine(models.Model):
    """A line of an agent's own log (service "agent"), of a run's program ("program"), or of a
    model's server ("model"), which names its replica and the how manieth launch of it.
    """

    class Level(models.TextChoices):
        DEBUG = "DEBUG", "Debug"
        INFO = "INFO", "Info"
        WARNING = "WARNING", "Warning"
        ERROR = "ERROR", "Error"

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="log_lines")
    run = models.ForeignKey("calculations.Run", models.CASCADE, null=True, related_name="log_lines")
    replica = models.UUIDField(null=True)
    launch = models.PositiveIntegerField(default=0)
    at = models.DateTimeField()
    service = models.CharField(max_length=20)
    level = models.CharField(max_length=8, choices=Level.choices, default=Level.INFO)
    text = models.TextField()

    class Meta:
        indexes = [
            models.Index(fields=["run", "id"], name="log_by_run"),
            models.Index(
                fields=["replica", "id"],
                name="log_by_replica",
                condition=models.Q(replica__isnull=False),
            ),
            models.Index(fields=["cluster", "-id"], name="log_by_cluster"),
            models.Index(fields=["level", "-id"], name="log_by_level"),
            BrinIndex(fields=["at"], name="log_by_time", autosummarize=True),
        ]

    def __str__(self) -> str:
        return self.text[:80]
