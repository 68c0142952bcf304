"""What calculations found: typed quantities and datasets with units, and results that came too
late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from calculations.models.calculation import Calculation
from calculations.models.run import Run
from labportal.accounts.models import Project

if TYPE_CHECKING:
    from labportal.accounts.models import User


class ResultQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> ResultQuerySet:
        return self.filter(
            calculation__project__in=Project.objects.visible_to(user), calculation__deleted_at=None
        )


class AnalysisResult(models.Model):
    """One execution of an analysis: on a run, or (`run` None) on all valid runs.

    `problem` says in words why it is not computed: its input is missing, or the plug-in failed.
    """

    class Status(models.TextChoices):
        COMPUTED = "computed", "Computed"
        MISSING = "missing", "Input missing"
        FAILED = "failed", "Failed"

    calculation = models.ForeignKey(Calculation, models.CASCADE, related_name="analysis_results")
    run = models.ForeignKey(Run, models.CASCADE, null=True, related_name="analysis_results")
    name = models.CharField(max_length=60)
    version = models.PositiveIntegerField(default=1)
    input_sha256 = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.COMPUTED)
    problem = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["calculation", "run", "name"],
                name="analysis_once_per_run",
                nulls_distinct=False,
            )
        ]
        # What is older than its definition is found by these two.
        indexes = [models.Index(fields=["name", "version"], name="analysis_by_version")]

    def __str__(self) -> str:
        return f"{self.name} of {self.run_id or self.calculation_id}"


class Quantity(models.Model):
    """One value: a number with its unit, a word, or a truth value (exactly one of the three columns
    is set).
    """

    calculation = models.ForeignKey(Calculation, models.CASCADE, related_name="quantities")
    run = models.ForeignKey(Run, models.CASCADE, null=True, related_name="quantities")
    analysis = models.ForeignKey(
        AnalysisResult, models.CASCADE, null=True, related_name="quantities"
    )
    name = models.CharField(max_length=80)
    label = models.CharField(max_length=120)
    number = models.FloatField(null=True)
    text = models.CharField(max_length=500, null=True)  # noqa: DJ001  (NULL: the value is no text)
    truth = models.BooleanField(null=True)
    unit = models.CharField(max_length=30, blank=True)

    objects = ResultQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["name", "number"], name="quantity_by_value"),
            # Which quantities there are, and in which units: found by skipping through it.
            models.Index(fields=["name", "unit"], name="quantity_by_unit"),
            # What was computed over all runs of a calculation, among thousands of its runs' own.
            models.Index(
                fields=["calculation", "name"],
                name="quantity_across_runs",
                condition=models.Q(run=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} = {self.value} {self.unit}".rstrip()

    @property
    def value(self) -> float | str | bool | None:
        return next((v for v in (self.number, self.text, self.truth) if v is not None), None)


class Dataset(models.Model):
    """A series or a table; `columns` is [{"name", "label", "unit", "values"}], equally long."""

    class Kind(models.TextChoices):
        SERIES = "series", "Series"
        TABLE = "table", "Table"

    calculation = models.ForeignKey(Calculation, models.CASCADE, related_name="datasets")
    run = models.ForeignKey(Run, models.CASCADE, null=True, related_name="datasets")
    analysis = models.ForeignKey(AnalysisResult, models.CASCADE, null=True, related_name="datasets")
    name = models.CharField(max_length=80)
    label = models.CharField(max_length=120)
    kind = models.CharField(max_length=6, choices=Kind.choices)
    columns = models.JSONField(default=list)

    objects = ResultQuerySet.as_manager()

    def __str__(self) -> str:
        return self.label


class OrphanResult(models.Model):
    """A result of an attempt that was no longer current: kept whole, for an admin to adopt."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="orphans")
    attempt = models.PositiveIntegerField()
    cluster = models.ForeignKey("clusters.Cluster", models.PROTECT, related_name="+")
    report = models.JSONField()
    why = models.CharField(max_length=300)
    received_at = models.DateTimeField(default=timezone.now)
    adopted_at = models.DateTimeField(null=True)
    adopted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "attempt", "cluster"], name="orphan_once")
        ]

    def __str__(self) -> str:
        return f"late result of {self.run_id} attempt {self.attempt}"

    @property
    def verdict(self) -> str:
        return str(self._outcome.get("verdict", ""))

    @property
    def message(self) -> str:
        return str(self._outcome.get("message", ""))

    @property
    def _outcome(self) -> dict[str, Any]:
        found = self.report.get("outcome") if isinstance(self.report, dict) else None
        return found if isinstance(found, dict) else {}
