"""What the lab's admins decide about calculations: one row."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models


class LabSettings(models.Model):
    auto_approve_core_hours = models.FloatField(
        "approved without review up to (core-hours)",
        default=1.0,
        validators=[MinValueValidator(0)],
        help_text="A calculation that may use more waits for a moderator. 0: every one waits.",
    )
    retention_days = models.PositiveIntegerField(
        "raw files on clusters are kept for (days)",
        default=14,
        help_text="Counted from the end of the calculation. Extracted data are kept for good.",
    )
    log_retention_days = models.PositiveIntegerField("log lines are kept for (days)", default=90)
    announcement = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "lab settings"

    def __str__(self) -> str:
        return "Lab settings"

    @classmethod
    def current(cls) -> LabSettings:
        return cls.objects.first() or cls.objects.get_or_create(pk=1)[0]
