"""A run of a calculation, and the record of each of its ended attempts.

The lease of a live attempt stands on the run itself: cluster, attempt number, expiry. Whoever
reports with another attempt number or from another cluster is fenced off.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils import timezone

from calculations.models.calculation import Calculation
from calculations.states import LEASED_RUNS, UNPLACED_RUNS, RunState
from labportal.accounts.models import Project

if TYPE_CHECKING:
    from labportal.accounts.models import User


class RunQuerySet(models.QuerySet["Run"]):
    def visible_to(self, user: User) -> RunQuerySet:
        return self.filter(
            calculation__project__in=Project.objects.visible_to(user), calculation__deleted_at=None
        )


class Run(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    calculation = models.ForeignKey(Calculation, models.CASCADE, related_name="runs")
    index = models.PositiveIntegerField(default=0)
    parameters = models.JSONField(default=dict, blank=True)  # what differs from the calculation's
    # Its place in the sweep: one value for each axis, a number or a word.
    point = models.JSONField(default=list, blank=True)
    # What retries have changed, on top of the parameters.
    changes = models.JSONField(default=dict, blank=True)
    automatic_retries = models.PositiveSmallIntegerField(default=0)
    # {"attempt", "cluster", "files"}: the attempt from whose files the next one starts.
    restart = models.JSONField(null=True, blank=True)
    # The run of a chain whose files it continues from; one that was added later may share it.
    predecessor = models.ForeignKey(
        "self", models.CASCADE, null=True, blank=True, related_name="successors"
    )

    state = models.CharField(max_length=12, choices=RunState.choices, default=RunState.QUEUED)
    state_since = models.DateTimeField(default=timezone.now)
    reason = models.CharField(max_length=500, blank=True)
    priority = models.SmallIntegerField(default=0)  # the calculation's, for the queue's index
    attempt = models.PositiveIntegerField(default=0)
    losses = models.PositiveSmallIntegerField(default=0)
    cluster = models.ForeignKey(
        "clusters.Cluster", models.PROTECT, null=True, blank=True, related_name="runs"
    )
    # Why it is not handed out yet; written by placement.
    waits_for = models.CharField(max_length=300, blank=True)
    # Its job on the cluster, and what the scheduler says of it while it waits there:
    # {"reason", "text", "expected_start", "partition"}.
    scheduler_id = models.CharField(max_length=64, blank=True)
    pending = models.JSONField(null=True, blank=True)
    queued_at = models.DateTimeField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    walltime_ends_at = models.DateTimeField(null=True, blank=True)  # told once it is soon
    finished_at = models.DateTimeField(null=True, blank=True)
    progress = models.JSONField(null=True, blank=True)
    cancel_reason = models.CharField(max_length=300, blank=True)
    main_value = models.FloatField(null=True, blank=True)
    disk_bytes = models.PositiveBigIntegerField(null=True, blank=True)  # on its cluster
    purged_at = models.DateTimeField(null=True, blank=True)
    # Why its raw files stay although their time is over: what is stored is not what was found.
    purge_held = models.CharField(max_length=300, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["calculation_id", "index"]
        constraints = [
            models.UniqueConstraint(fields=["calculation", "index"], name="run_index_once")
        ]
        indexes = [
            models.Index(
                fields=["-priority", "queued_at"],
                name="run_queue",
                condition=models.Q(state=RunState.QUEUED),
            ),
            models.Index(
                fields=["queued_at"],
                name="run_unplaced",
                condition=models.Q(state__in=sorted(UNPLACED_RUNS)),
            ),
            models.Index(
                fields=["cluster"],
                name="run_leased",
                condition=models.Q(state__in=sorted(LEASED_RUNS)),
            ),
        ]

    def __str__(self) -> str:
        return f"C-{self.calculation_id} run {self.index + 1}"

    @property
    def is_leased(self) -> bool:
        return self.state in LEASED_RUNS

    def full_parameters(self) -> dict[str, Any]:
        return {**self.calculation.parameters, **self.parameters, **self.changes}


class Attempt(models.Model):
    """One ended attempt: written once, when it ended, never changed."""

    class Ending(models.TextChoices):
        FINISHED = "finished", "Finished"
        LOST = "lost", "Lost"
        CANCELLED = "cancelled", "Cancelled"

    run = models.ForeignKey(Run, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    cluster = models.ForeignKey("clusters.Cluster", models.PROTECT, null=True, related_name="+")
    ending = models.CharField(max_length=10, choices=Ending.choices)
    code = models.CharField(max_length=60, blank=True)
    message = models.TextField(blank=True)
    remedy = models.TextField(blank=True)
    evidence = models.JSONField(default=list)
    exit_code = models.IntegerField(null=True)
    exit_signal = models.IntegerField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    elapsed_s = models.FloatField(null=True)
    cpu_s = models.FloatField(null=True)
    max_rss_mib = models.FloatField(null=True)
    scheduler_id = models.CharField(max_length=64, blank=True)
    # What the scheduler's accounting says of the job, as agent/schedulers/base.py describes.
    accounting = models.JSONField(default=dict, blank=True)
    changes = models.JSONField(default=dict, blank=True)  # the run's, as this attempt had them
    # {"changes", "files"}: with what its verdict advises to try again; empty where with nothing.
    advice = models.JSONField(default=dict, blank=True)
    results_sha256 = models.CharField(max_length=64, blank=True)
    not_finite = models.JSONField(default=list, blank=True)  # names of numbers that were left out
    recorded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["run_id", "number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="attempt_ends_once")]

    def __str__(self) -> str:
        return f"{self.run_id} attempt {self.number}: {self.ending}"
