"""A calculation: what a scientist asked for. Its state is written by services/advance.py alone."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone

from calculations.models.words import word_index, words_field
from calculations.software.base import Resources
from calculations.states import ACTIVE, TERMINAL, TRUSTED, CalculationState, Standing
from labportal.accounts.models import Project

if TYPE_CHECKING:
    from labportal.accounts.models import User


class CalculationQuerySet(models.QuerySet["Calculation"]):
    def visible_to(self, user: User) -> CalculationQuerySet:
        return self.filter(project__in=Project.objects.visible_to(user), deleted_at=None)


class CalculationManager(models.Manager.from_queryset(CalculationQuerySet)):
    """Leaves the words of the full text index in the database: they are searched, never read."""

    def get_queryset(self) -> CalculationQuerySet:
        return super().get_queryset().defer("words")


class Calculation(models.Model):
    project = models.ForeignKey(Project, models.PROTECT, related_name="calculations")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    words = words_field()
    software = models.CharField(max_length=60)
    software_version = models.PositiveIntegerField(default=1)
    parameters = models.JSONField(default=dict)
    # None for a single run, else as services/sweeps.py says.
    sweep = models.JSONField(null=True, blank=True)
    analyses = models.JSONField(default=list, blank=True)
    structure = models.ForeignKey(
        "Structure", models.PROTECT, null=True, blank=True, related_name="calculations"
    )
    # How often a run that is not valid may be tried again with what its verdict advises.
    automatic_retries = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(2)]
    )
    cluster = models.ForeignKey(
        "clusters.Cluster", models.PROTECT, null=True, blank=True, related_name="calculations"
    )
    cores = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    memory_mib = models.PositiveIntegerField(default=1024, validators=[MinValueValidator(16)])
    walltime_s = models.PositiveIntegerField(default=600, validators=[MinValueValidator(1)])
    nodes = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    tasks = models.PositiveIntegerField(default=0)  # 0: as the program wants
    gpus = models.PositiveIntegerField(default=0)
    gpu_type = models.CharField(max_length=40, blank=True)
    partition = models.CharField(max_length=100, blank=True)
    account = models.CharField(max_length=100, blank=True)
    qos = models.CharField(max_length=100, blank=True)
    licences = models.JSONField(default=list, blank=True)  # ["matlab:1"]
    exclusive = models.BooleanField(default=False)
    priority = models.SmallIntegerField(
        default=0, validators=[MinValueValidator(-100), MaxValueValidator(100)]
    )

    state = models.CharField(
        max_length=12, choices=CalculationState.choices, default=CalculationState.DRAFT
    )
    state_since = models.DateTimeField(default=timezone.now)
    reason = models.CharField(max_length=500, blank=True)
    run_count = models.PositiveIntegerField(default=1)
    main_value = models.FloatField(null=True, blank=True)
    main_error = models.FloatField(null=True, blank=True)  # the standard error, where there is one
    main_label = models.CharField(max_length=60, blank=True)
    main_unit = models.CharField(max_length=30, blank=True)

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="calculations"
    )
    created_at = models.DateTimeField(default=timezone.now)
    submitted_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    announced_at = models.DateTimeField(null=True, blank=True)
    keep_files = models.BooleanField(default=False)

    standing = models.CharField(max_length=10, choices=Standing.choices, blank=True)
    standing_at = models.DateTimeField(null=True, blank=True)
    standing_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    standing_reason = models.CharField(max_length=500, blank=True)
    # Why it should no longer be trusted: something that it was derived from was retracted.
    doubt = models.CharField(max_length=500, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    copied_from = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="copies"
    )

    objects = CalculationManager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["project", "-id"]),
            models.Index(fields=["state", "-id"]),
            models.Index(fields=["software", "-id"]),
            models.Index(fields=["standing", "-id"], name="calculation_standing"),
            models.Index(fields=["created_by", "-id"]),
            models.Index(fields=["-finished_at"], name="calculation_finished"),
            word_index("calculation_words"),
            models.Index(
                fields=["finished_at"],
                name="calculation_unannounced",
                condition=models.Q(announced_at=None, finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"

    def get_absolute_url(self) -> str:
        return reverse("calculation-detail", args=[self.pk])

    @property
    def number(self) -> str:
        return f"C-{self.pk}"

    @property
    def is_trusted(self) -> bool:
        """Whether its results may be built on: valid, checked or validated, and beyond doubt."""
        return self.state == CalculationState.VALID and self.standing in TRUSTED and not self.doubt

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL

    @property
    def is_chain(self) -> bool:
        return bool(self.sweep) and self.sweep.get("mode") == "chain"

    @property
    def resources(self) -> Resources:
        asked = {field.name: getattr(self, field.name) for field in fields(Resources)}
        return Resources.from_json(asked)

    @property
    def core_hours_limit(self) -> float:
        """The most that it may use: runs x tries x cores x time limit."""
        return self._hours_limit * self.cores

    @property
    def gpu_hours_limit(self) -> float:
        return self._hours_limit * self.gpus

    @property
    def _hours_limit(self) -> float:
        return self.run_count * (1 + self.automatic_retries) * self.walltime_s / 3600

    @property
    def price_limit(self) -> float | None:
        """The most that it may cost where it is to run; None while no cluster with a price is
        chosen.
        """
        cluster = self.cluster
        if cluster is None or (cluster.price_core_hour is None and cluster.price_gpu_hour is None):
            return None
        core, gpu = float(cluster.price_core_hour or 0), float(cluster.price_gpu_hour or 0)
        return core * self.core_hours_limit + gpu * self.gpu_hours_limit
