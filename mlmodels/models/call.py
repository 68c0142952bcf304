"""Calls to models: each one metered, those that may take long, and what was asked and answered."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone

from labportal.accounts.roles import Can, can
from mlmodels.states import ASYNC_OPEN, AsyncState

if TYPE_CHECKING:
    from labportal.accounts.models import User

ASYNC_OPEN_NAMES = sorted(ASYNC_OPEN)


class Invocation(models.Model):
    """One call as it was metered. `status` is what the caller got; `error` names what the proxy
    itself refused or missed ("" where the model answered).
    """

    model = models.ForeignKey("mlmodels.RegisteredModel", models.CASCADE, related_name="+")
    version = models.ForeignKey("mlmodels.ModelVersion", models.CASCADE, null=True)
    replica = models.UUIDField(null=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    ms = models.FloatField()
    status = models.PositiveSmallIntegerField()
    error = models.CharField(max_length=40, blank=True)
    bytes_in = models.PositiveBigIntegerField(default=0)
    bytes_out = models.PositiveBigIntegerField(default=0)
    asynchronous = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["model", "at"], name="invocation_by_time"),
            models.Index(fields=["user", "at"], name="invocation_by_person"),
        ]

    def __str__(self) -> str:
        return f"{self.status} in {self.ms:.0f} ms"


class AsyncInvocationQuerySet(models.QuerySet["AsyncInvocation"]):
    def visible_to(self, user: User) -> AsyncInvocationQuerySet:
        """One's own; for who may see what others use, all."""
        if not can(user, Can.SIGN_IN):
            return self.none()
        return self if can(user, Can.VIEW_USAGE) else self.filter(user=user)


class AsyncInvocation(models.Model):
    """A call that may take long: queued, its body and its answer in the file store.

    `runner`: the process that makes the call, last heard at `heard_at`; `due_at`: not before;
    `told`: the person was told of its end, if it `notifies`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey("mlmodels.RegisteredModel", models.CASCADE, related_name="+")
    version = models.ForeignKey("mlmodels.ModelVersion", models.CASCADE, null=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=AsyncState.choices, default=AsyncState.QUEUED)
    inference_id = models.CharField(max_length=64, blank=True)
    custom_attributes = models.CharField(max_length=1024, blank=True)
    content_type = models.CharField(max_length=100)
    accept = models.CharField(max_length=100, blank=True)
    timeout_s = models.PositiveIntegerField(default=900)
    body_key = models.CharField(max_length=300, blank=True)
    body_size = models.PositiveBigIntegerField(default=0)
    result_key = models.CharField(max_length=300, blank=True)
    result_size = models.PositiveBigIntegerField(default=0)
    result_type = models.CharField(max_length=100, blank=True)
    status = models.PositiveSmallIntegerField(null=True)
    why = models.CharField(max_length=500, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    runner = models.CharField(max_length=100, blank=True)
    heard_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(default=timezone.now)
    notifies = models.BooleanField(default=True)
    told = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = AsyncInvocationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["user", "-created_at"], name="async_by_person"),
            models.Index(fields=["model", "-created_at"], name="async_by_model"),
            models.Index(
                fields=["user", "model"], name="async_untold", condition=models.Q(told=False)
            ),
            models.Index(
                fields=["due_at"], name="async_open", condition=models.Q(state__in=ASYNC_OPEN_NAMES)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} call of {self.model_id}"

    @property
    def took(self) -> timedelta | None:
        return self.ended_at - self.started_at if self.ended_at and self.started_at else None


class Prediction(models.Model):
    """What was asked and answered, where the model keeps it. Long bodies lie in the file store.

    `subject`: what it was asked about, such as "structure:12"; "" where it came from elsewhere.
    """

    model = models.ForeignKey("mlmodels.RegisteredModel", models.CASCADE, related_name="+")
    version = models.ForeignKey("mlmodels.ModelVersion", models.CASCADE, null=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    inference_id = models.CharField(max_length=64, blank=True)
    subject = models.CharField(max_length=80, blank=True)
    ms = models.FloatField(null=True)
    status = models.PositiveSmallIntegerField(default=200)
    input_type = models.CharField(max_length=100)
    input_text = models.TextField(blank=True)
    input_key = models.CharField(max_length=300, blank=True)
    output_type = models.CharField(max_length=100, blank=True)
    output_text = models.TextField(blank=True)
    output_key = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["model", "-id"], name="predictions_newest"),
            models.Index(
                fields=["subject"], name="prediction_subject", condition=~models.Q(subject="")
            ),
        ]

    def __str__(self) -> str:
        return f"prediction {self.pk} of {self.model_id}"
