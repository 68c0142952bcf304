"""What happened to a calculation, in order: one row per change of state, with its evidence. Never
changed.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from calculations.models.calculation import Calculation
from calculations.models.run import Run


class Event(models.Model):
    calculation = models.ForeignKey(Calculation, models.CASCADE, related_name="events")
    run = models.ForeignKey(Run, models.CASCADE, null=True, related_name="events")
    attempt = models.PositiveIntegerField(null=True)
    at = models.DateTimeField(default=timezone.now)
    verb = models.CharField(max_length=30)
    source = models.CharField(max_length=12)
    target = models.CharField(max_length=12)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    actor_label = models.CharField(max_length=150)
    note = models.TextField(blank=True)
    evidence = models.JSONField(default=list)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.verb}: {self.source} → {self.target}"
