"""A model that scientists plugged in, what is wanted of it, and what is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone

from labportal.accounts.roles import Can, can
from mlmodels.states import ANSWERING, Desired, ModelState

if TYPE_CHECKING:
    from labportal.accounts.models import User

MODEL_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


class RegisteredModelQuerySet(models.QuerySet["RegisteredModel"]):
    def visible_to(self, user: User) -> RegisteredModelQuerySet:
        """Models are visible to everyone who may sign in; deleted ones to nobody."""
        return self.filter(deleted_at=None) if can(user, Can.SIGN_IN) else self.none()


class RegisteredModel(models.Model):
    """`current`: the version that should serve; `serving`: the one that takes the calls, another
    only while `current` comes up beside it; `previous`: the one that served before, to go back to.

    `schedule`: {"stop_at": "20:00", "start_at": "07:00", "days": [0..6], "time_zone": "…"} or {};
    `asleep`: stopped by it. `clusters`: where its replicas may run, empty: wherever there is room.
    """

    name = models.CharField(
        max_length=63,
        unique=True,
        validators=[
            RegexValidator(MODEL_NAME, "Use lower-case letters, digits and hyphens: redshift-2.")
        ],
    )
    description = models.TextField(blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="registered_models"
    )
    created_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    desired = models.CharField(max_length=10, choices=Desired.choices, default=Desired.STOPPED)
    current = models.ForeignKey(
        "mlmodels.ModelVersion", models.PROTECT, null=True, blank=True, related_name="+"
    )
    serving = models.ForeignKey(
        "mlmodels.ModelVersion", models.PROTECT, null=True, blank=True, related_name="+"
    )
    previous = models.ForeignKey(
        "mlmodels.ModelVersion", models.SET_NULL, null=True, blank=True, related_name="+"
    )
    replicas_wanted = models.PositiveIntegerField(
        "replicas", default=1, validators=[MinValueValidator(1), MaxValueValidator(64)]
    )
    clusters = models.ManyToManyField("clusters.Cluster", blank=True, related_name="+")
    schedule = models.JSONField(default=dict, blank=True)
    schedule_seen_at = models.DateTimeField(default=timezone.now, editable=False)
    asleep = models.BooleanField(default=False, editable=False)

    state = models.CharField(
        max_length=12, choices=ModelState.choices, default=ModelState.STOPPED, editable=False
    )
    why = models.CharField(max_length=500, blank=True, editable=False)
    since = models.DateTimeField(default=timezone.now, editable=False)

    # What a call may be and take.
    timeout_s = models.PositiveIntegerField(
        "answer within (s)", default=60, validators=[MinValueValidator(1), MaxValueValidator(3600)]
    )
    max_body_mib = models.PositiveIntegerField(
        "largest body (MiB)", default=6, validators=[MinValueValidator(1), MaxValueValidator(1024)]
    )
    max_in_flight = models.PositiveIntegerField(
        "calls at once for each replica", default=64, validators=[MinValueValidator(1)]
    )
    calls_per_minute = models.PositiveIntegerField(
        "calls a minute for each person", default=6000, validators=[MinValueValidator(1)]
    )
    stores_bodies = models.BooleanField("keep what is asked and answered", default=False)
    prediction_days = models.PositiveIntegerField("predictions are kept for (days)", default=90)

    objects = RegisteredModelQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("model-detail", args=[self.name])

    @property
    def answers(self) -> bool:
        return self.state in ANSWERING
