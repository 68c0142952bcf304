"""What clusters share out: licences, and what people used of the time."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone


class Licence(models.Model):
    """A licence that runs take: `seats` over all clusters, whatever a site's scheduler counts."""

    name = models.CharField(max_length=60, unique=True)
    seats = models.PositiveIntegerField(validators=[MinValueValidator(1)])

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Usage(models.Model):
    """What a person used in a project, halved with each half-life; for fair share.

    `core_s` holds at `at`; GPUs count as the settings say.
    """

    project = models.ForeignKey("accounts.Project", models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    core_s = models.FloatField(default=0.0)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "usage"
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="usage_of_each_once")
        ]

    def __str__(self) -> str:
        return f"{self.core_s:.0f} core seconds"
