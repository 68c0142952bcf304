"""A replica: one server of one version on one cluster, as wanted and as its agent told of it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from clusters.agent.protocol import ReplicaState
from mlmodels.models.version import ModelVersion
from mlmodels.states import Purpose, ReplicaWanted


class Replica(models.Model):
    """`generation` grows when it shall start anew; `told_generation` is the agent's. `report` is
    the agent's last entry as it came. One that drains takes no new calls and is removed when the
    last is answered. A row stays until its agent has removed it.
    """

    STATES = [(state.value, state.value.replace("_", " ").capitalize()) for state in ReplicaState]

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="replicas")
    cluster = models.ForeignKey("clusters.Cluster", models.PROTECT, related_name="replicas")
    purpose = models.CharField(max_length=10, choices=Purpose.choices, default=Purpose.SERVE)
    wanted = models.CharField(
        max_length=10, choices=ReplicaWanted.choices, default=ReplicaWanted.SERVE
    )
    wanted_at = models.DateTimeField(default=timezone.now)
    wanted_why = models.CharField(max_length=300, blank=True)
    draining_at = models.DateTimeField(null=True, blank=True)
    remove_told_at = models.DateTimeField(null=True, blank=True)
    generation = models.PositiveIntegerField(default=1)
    told_generation = models.PositiveIntegerField(default=0)

    state = models.CharField(max_length=12, choices=STATES, blank=True)  # "": not heard of yet
    why = models.CharField(max_length=500, blank=True)
    since = models.DateTimeField(default=timezone.now)
    address = models.CharField(max_length=100, blank=True)  # host:port as the proxy calls it
    launch = models.PositiveIntegerField(default=0)
    restarts = models.PositiveIntegerField(default=0)  # over its life
    started_at = models.DateTimeField(null=True, blank=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    pinged_at = models.DateTimeField(null=True, blank=True)  # the last good /ping
    answered_at = models.DateTimeField(null=True, blank=True)  # the last good answer to a call
    failed_calls = models.PositiveIntegerField(default=0)  # in a row, by the proxy
    report = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at"]
        indexes = [
            models.Index(
                fields=["cluster"], name="replica_there", condition=models.Q(removed_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} on {self.cluster}"

    @property
    def is_wanted(self) -> bool:
        return self.wanted == ReplicaWanted.SERVE and self.removed_at is None

    @property
    def answers(self) -> bool:
        """Ready, as its agent last said of what is wanted now."""
        return self.is_wanted and self.state == ReplicaState.READY and bool(self.address)

    @property
    def has_given_up(self) -> bool:
        return self.state == ReplicaState.GIVEN_UP

    @property
    def is_put_by(self) -> bool:
        """Stopped with what makes its next start quick."""
        return self.wanted == ReplicaWanted.STOP and self.removed_at is None

    @property
    def is_counted(self) -> bool:
        """Whether its agent's word on what is free includes it, or need not."""
        return not self.is_wanted or self.told_generation >= self.generation

    @property
    def name(self) -> str:
        """Short, for people and for the names of containers."""
        return str(self.pk)[:8]


class ContractCheck(models.Model):
    """One run of the contract test of a version; `checks`: [{"name", "title", "ok", "detail"}]."""

    version = models.ForeignKey(ModelVersion, models.CASCADE, related_name="contract_checks")
    replica = models.OneToOneField(Replica, models.SET_NULL, null=True, related_name="contract")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    began_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    passed = models.BooleanField(null=True)
    why = models.CharField(max_length=500, blank=True)
    checks = models.JSONField(default=list)

    class Meta:
        ordering = ["-began_at"]

    def __str__(self) -> str:
        return f"contract of {self.version}"
