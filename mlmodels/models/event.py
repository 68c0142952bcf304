"""What happened to a model, in order, with its evidence. Never changed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class ModelEvent(models.Model):
    model = models.ForeignKey("mlmodels.RegisteredModel", models.CASCADE, related_name="events")
    version = models.ForeignKey("mlmodels.ModelVersion", models.CASCADE, null=True)
    replica = models.UUIDField(null=True)
    at = models.DateTimeField(default=timezone.now)
    verb = models.CharField(max_length=30)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    actor_label = models.CharField(max_length=150)
    note = models.TextField(blank=True)
    evidence = models.JSONField(default=list)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["model", "-id"], name="model_events_newest")]

    def __str__(self) -> str:
        return f"{self.verb} of {self.model_id}"
