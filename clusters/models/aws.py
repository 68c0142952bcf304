"""How the portal reaches a state machine that runs Lambda functions, and what runs there."""

from __future__ import annotations

import uuid
from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from clusters.agent.protocol import AgentState
from clusters.models.cluster import Cluster


def _between(least: float, most: float) -> list[MinValueValidator | MaxValueValidator]:
    return [MinValueValidator(least), MaxValueValidator(most)]


class AwsAccess(models.Model):
    """Where the state machine is, how the portal signs its requests, what a function can do. The
    secret key is encrypted.
    """

    cluster = models.OneToOneField(Cluster, models.CASCADE, related_name="aws")
    region = models.CharField(max_length=40, default="us-east-1")
    state_machine_arn = models.CharField(max_length=300)
    bucket = models.CharField(max_length=63)
    prefix = models.CharField(max_length=200, default="labportal")
    data_prefix = models.CharField(max_length=200, default="data")
    endpoint_url = models.CharField(max_length=300, blank=True)
    access_key_id = models.CharField(max_length=128, blank=True)
    sealed_secret = models.TextField(blank=True)
    # What a function has, as it was deployed.
    memory_mib = models.PositiveIntegerField(default=3008, validators=_between(128, 10_240))
    disk_mib = models.PositiveIntegerField(default=2048, validators=_between(512, 10_240))
    timeout_s = models.PositiveIntegerField(default=900, validators=_between(1, 900))
    most_at_once = models.PositiveIntegerField(default=20, validators=_between(1, 10_000))
    samples_per_s = models.FloatField(default=100.0, validators=_between(0.01, 1e6))
    learned_samples_per_s = models.FloatField(null=True, blank=True)  # of a function, by past runs
    # In the lab's unit; the defaults are dollars as published.
    price_gb_second = models.DecimalField(
        max_digits=16, decimal_places=12, default=Decimal("0.0000166667"), validators=_between(0, 1)
    )
    price_request = models.DecimalField(
        max_digits=16, decimal_places=12, default=Decimal("0.0000002"), validators=_between(0, 1)
    )
    price_transition = models.DecimalField(
        max_digits=16, decimal_places=12, default=Decimal("0.000025"), validators=_between(0, 1)
    )
    # The portal's own books as this cluster's agent.
    agent_id = models.UUIDField(default=uuid.uuid4, editable=False)
    told = models.PositiveBigIntegerField(default=0)  # Cluster.desired as last heard
    seq = models.PositiveBigIntegerField(default=0)
    unsent = models.JSONField(default=list, blank=True)  # log lines that were not acknowledged yet
    purges = models.JSONField(default=list, blank=True)  # what is to be deleted
    purged = models.JSONField(default=list, blank=True)  # what was, and was not heard yet
    exchanged_at = models.DateTimeField(null=True, blank=True)
    last_try_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    failures = models.PositiveIntegerField(default=0)  # in a row
    not_before = models.DateTimeField(null=True, blank=True)
    held_at = models.DateTimeField(null=True, blank=True)  # until an operator lets it try again
    test_began_at = models.DateTimeField(null=True, blank=True)
    test_ended_at = models.DateTimeField(null=True, blank=True)
    test_steps = models.JSONField(default=list, blank=True)

    class Meta:
        verbose_name = "AWS access"
        verbose_name_plural = "AWS accesses"

    def __str__(self) -> str:
        return self.state_machine_arn or self.region

    @property
    def rate(self) -> float:
        """Samples per second that a function is expected to do."""
        return self.learned_samples_per_s or self.samples_per_s


class AwsExecution(models.Model):
    """One attempt of a run, as this cluster's agent remembers it; deleted once it is closed."""

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="aws_executions")
    run = models.UUIDField()
    attempt = models.PositiveIntegerField()
    spec = models.JSONField(default=dict)
    state = models.CharField(
        max_length=12,
        choices=[(state.value, state.value) for state in AgentState],
        default=AgentState.PREPARING.value,
    )
    since = models.DateTimeField(default=timezone.now)
    execution_arn = models.CharField(max_length=400, blank=True)
    plan_sha256 = models.CharField(max_length=64, blank=True)
    functions = models.PositiveIntegerField(default=0)  # it has been given room for so many
    busy_until = models.DateTimeField(null=True, blank=True)  # a worker is at it
    cancel_why = models.CharField(max_length=300, blank=True)
    abandoned = models.BooleanField(default=False)
    timed_out = models.BooleanField(default=False)
    why = models.CharField(max_length=300, blank=True)
    waits_for = models.CharField(max_length=300, blank=True)
    progress = models.JSONField(null=True, blank=True)
    report = models.JSONField(default=dict, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        verbose_name = "AWS execution"
        constraints = [
            models.UniqueConstraint(fields=["cluster", "run", "attempt"], name="aws_execution_once")
        ]

    def __str__(self) -> str:
        return f"{self.run}-{self.attempt}"
