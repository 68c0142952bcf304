"""Orders to delete raw files, and what is left of them: tombstones."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from clusters.models.cluster import Cluster


class Purge(models.Model):
    """The order to delete a run's raw files on its cluster, and afterwards their tombstone.

    `attempt`: the newest whose files may go; a later one has begun anew. `files`: the deleted files
    as [{"name", "size", "sha256"}], the first of `file_count`.
    """

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="purges")
    run = models.ForeignKey("calculations.Run", models.CASCADE, related_name="purges")
    attempt = models.PositiveIntegerField(default=0)
    keep = models.JSONField(default=list)
    wanted_at = models.DateTimeField(default=timezone.now)
    wanted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    done_at = models.DateTimeField(null=True, blank=True)
    freed_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    kept_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    files = models.JSONField(default=list, blank=True)
    file_count = models.PositiveIntegerField(default=0)
    file_bytes = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["wanted_at", "pk"]
        indexes = [
            models.Index(fields=["cluster"], name="purge_pending", condition=models.Q(done_at=None))
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "cluster"],
                name="purge_wanted_once",
                condition=models.Q(done_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"purge of {self.run_id}"
