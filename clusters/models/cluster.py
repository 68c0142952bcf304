"""A machine or a site where calculations run, what its agent last said of itself, and its keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone

from calculations.software.base import Resources
from clusters import abilities

SILENT_AFTER = timedelta(seconds=settings.LEASE_S / 2)  # before leases end: it gets no new runs
HELD_AFTER = 5  # runs lost in a row, none of them twice


class Cluster(models.Model):
    class Carrier(models.TextChoices):
        HTTPS = "https", "Agent calls the portal (HTTPS)"
        SSH = "ssh", "Portal signs in (SSH)"
        QUEUE = "queue", "Node of the lab takes from a queue (Celery)"
        AWS = "aws-stepfunctions", "Functions in the cloud (AWS Step Functions and Lambda)"

    name = models.CharField(
        max_length=60,
        unique=True,
        validators=[
            RegexValidator(
                r"^[a-z0-9][a-z0-9.-]*$",
                "Use lower-case letters, digits, dots and hyphens, such as tesla-1.",
            )
        ],
    )
    description = models.TextField(blank=True)
    carrier = models.CharField(max_length=20, choices=Carrier.choices, default=Carrier.HTTPS)
    enabled = models.BooleanField(default=True)
    draining = models.BooleanField(default=False)  # what runs there ends, nothing new goes there
    maintenance_note = models.CharField(max_length=300, blank=True)
    # The circuit breaker: too many runs were lost here in a row; an admin lets work in again.
    held_at = models.DateTimeField(null=True, blank=True)
    held_reason = models.CharField(max_length=300, blank=True)
    lost_in_a_row = models.PositiveIntegerField(default=0)
    max_runs = models.PositiveIntegerField(
        "runs at once",
        null=True,
        blank=True,
        help_text="Empty: as many as the agent offers.",
        validators=[MinValueValidator(1), MaxValueValidator(10_000)],
    )
    max_runs_per_user = models.PositiveIntegerField(null=True, blank=True)
    max_runs_per_project = models.PositiveIntegerField(null=True, blank=True)
    price_core_hour = models.DecimalField(max_digits=10, decimal_places=4, null=True, blank=True)
    price_gpu_hour = models.DecimalField(max_digits=10, decimal_places=4, null=True, blank=True)
    update_wanted = models.CharField(max_length=40, blank=True)  # the agent's version to change to
    update_wanted_at = models.DateTimeField(null=True, blank=True)
    update_may_go_back = models.BooleanField(default=False)  # to a version older than the agent's
    created_at = models.DateTimeField(default=timezone.now)

    # What the agent last said of itself.
    agent_id = models.CharField(max_length=64, blank=True)
    agent_boot = models.CharField(max_length=64, blank=True)
    superseded_boots = models.JSONField(default=list, blank=True)  # those before, newest first
    agent_version = models.CharField(max_length=40, blank=True)
    agent_host = models.CharField(max_length=200, blank=True)
    last_exchange_at = models.DateTimeField(null=True, blank=True)
    clock_skew_s = models.FloatField(null=True, blank=True)
    capacity = models.JSONField(default=dict, blank=True)

    # The exchange's counters; written under this row's lock.
    desired = models.PositiveBigIntegerField(default=0)
    acknowledged = models.PositiveBigIntegerField(default=0)
    mean_run_s = models.FloatField(default=60.0)
    purges_pending = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("cluster-detail", args=[self.name])

    @property
    def slots_total(self) -> int:
        offered = int(self.capacity.get("slots", {}).get("total", 0))
        return min(offered, self.max_runs) if self.max_runs else offered

    @property
    def software(self) -> dict[str, dict[str, Any]]:
        return self.capacity.get("software", {})

    def offers(self, software: str) -> bool:
        return bool(self.software.get(software, {}).get("ok"))

    def why_never(self, asked: Resources) -> str:
        """Why it can never run what asks for so much, to be read after its name; "" where it
        can.
        """
        return abilities.why_never(self.capacity, asked)

    @property
    def limits(self) -> abilities.Limits:
        return abilities.limits(self.capacity)

    @property
    def is_visited(self) -> bool:
        """The portal goes there by itself; nobody installs an agent."""
        return self.carrier in (self.Carrier.SSH, self.Carrier.AWS)

    @property
    def is_machine(self) -> bool:
        """It has a processor and memory of its own, which are measured."""
        return self.carrier != self.Carrier.AWS

    def is_silent(self, now: datetime | None = None) -> bool:
        last = self.last_exchange_at
        return last is None or (now or timezone.now()) - last > SILENT_AFTER

    def takes_work(self, now: datetime | None = None) -> bool:
        """Whether runs may be handed out there; while it is `on_trial`, one at a time."""
        return not self.why_not(now)

    def why_not(self, now: datetime | None = None) -> str:
        """Why no run may be handed out there, to be read after its name; "" where one may."""
        if self.closed:
            return self.closed
        if self.last_exchange_at is None:
            return "was never heard"
        return "is silent" if self.is_silent(now) else ""

    @property
    def closed(self) -> str:
        """Why people, or the circuit breaker, let no work in; "" where they do."""
        note = f": {self.maintenance_note}" if self.maintenance_note else ""
        if not self.enabled:
            return f"is disabled{note}"
        if self.draining:
            return f"takes no new work{note}"
        return f"is held: {self.held_reason}" if self.held_at is not None else ""

    @property
    def on_trial(self) -> bool:
        """Let in again after it was held; its next run shows whether it is well."""
        return self.held_at is None and self.lost_in_a_row >= HELD_AFTER


class ApiKey(models.Model):
    """An agent's key: the secret is shown once and only its HMAC digest is stored."""

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="api_keys")
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    # Signs what travels through a broker, where only a digest of the secret could not; encrypted.
    sealed_signing_key = models.TextField(blank=True)
    # Of the newest signed message that was taken, by its sender's clock: what is not newer is
    # refused, so that nothing which was sent once counts twice.
    last_signed_ms = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"lpk_{self.prefix}_…"
