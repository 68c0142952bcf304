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
    metrics_raw_hours = models.PositiveIntegerField(
        "metrics as they came are kept for (hours)",
        default=48,
        validators=[MinValueValidator(2)],
        help_text="After that, least, mean and most of each 5 minutes and each hour are left.",
    )
    metrics_minutes_days = models.PositiveIntegerField(
        "metrics of each 5 minutes are kept for (days)",
        default=40,
        validators=[MinValueValidator(1)],
    )
    metrics_hours_days = models.PositiveIntegerField(
        "metrics of each hour are kept for (days)",
        default=800,
        validators=[MinValueValidator(1)],
    )

    # How the queue is ordered and what is capped; clusters/placement.py reads it.
    half_life_days = models.FloatField(
        "use counts half after (days)",
        default=7.0,
        validators=[MinValueValidator(0.01)],
        help_text="The half-life of what projects and people used, for the fair share.",
    )
    gpu_weight = models.FloatField(
        "a GPU counts as (cores)", default=8.0, validators=[MinValueValidator(0)]
    )
    aging_days = models.FloatField(
        "waiting outweighs all use after (days)",
        default=3.0,
        validators=[MinValueValidator(0.01)],
        help_text=(
            "A run that has waited so much longer than another of its priority goes first, "
            "whatever its project and its author have used."
        ),
    )
    runs_per_user = models.PositiveIntegerField(
        "runs at once for each person", null=True, blank=True, help_text="Empty: no limit."
    )
    runs_per_project = models.PositiveIntegerField(
        "runs at once for each project", null=True, blank=True, help_text="Empty: no limit."
    )
    price_tolerance_percent = models.FloatField(
        "clusters cost the same within (percent)",
        default=20.0,
        validators=[MinValueValidator(0)],
        help_text="Among those a run goes where it starts at once.",
    )
    dearer_after_min = models.PositiveIntegerField(
        "a dearer cluster is taken after (minutes)",
        default=60,
        help_text="So long a run waits for the cheapest cluster that can. 0: it never waits.",
    )

    class Meta:
        verbose_name_plural = "lab settings"

    def __str__(self) -> str:
        return "Lab settings"

    @classmethod
    def current(cls) -> LabSettings:
        return cls.objects.first() or cls.objects.get_or_create(pk=1)[0]
