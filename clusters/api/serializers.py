"""Shapes of clusters, keys and log lines in the API. Services decide what the values may be."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from clusters.intake import line_document
from clusters.models import ApiKey, Cluster, LogLine
from clusters.selectors.clusters import Card
from clusters.selectors.health import is_valid
from labportal.common.clock import now


class SoftwareSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    version = serializers.CharField()
    ok = serializers.BooleanField()
    problem = serializers.CharField()


class ClusterSerializer(serializers.Serializer):
    """A cluster as it was last heard; percentages are null where they are not known."""

    name = serializers.CharField(source="cluster.name")
    carrier = serializers.CharField(source="cluster.carrier")
    description = serializers.CharField(source="cluster.description")
    enabled = serializers.BooleanField(source="cluster.enabled")
    draining = serializers.BooleanField(source="cluster.draining")
    held_at = serializers.DateTimeField(source="cluster.held_at")
    held_reason = serializers.CharField(source="cluster.held_reason")
    takes_work = serializers.BooleanField(source="cluster.takes_work")
    maintenance_note = serializers.CharField(source="cluster.maintenance_note")
    state = serializers.CharField(source="label")
    why = serializers.CharField()
    last_exchange_at = serializers.DateTimeField(source="cluster.last_exchange_at")
    agent_version = serializers.CharField(source="cluster.agent_version")
    agent_update = serializers.CharField(source="cluster.update_wanted")
    agent_host = serializers.CharField(source="cluster.agent_host")
    clock_skew_s = serializers.FloatField(source="cluster.clock_skew_s")
    max_runs = serializers.IntegerField(source="cluster.max_runs")
    max_runs_per_user = serializers.IntegerField(source="cluster.max_runs_per_user")
    max_runs_per_project = serializers.IntegerField(source="cluster.max_runs_per_project")
    price_core_hour = serializers.DecimalField(10, 4, source="cluster.price_core_hour")
    price_gpu_hour = serializers.DecimalField(10, 4, source="cluster.price_gpu_hour")
    slots = serializers.IntegerField()
    slots_used = serializers.IntegerField(source="leased")
    hardware = serializers.CharField()
    cpu_percent = serializers.FloatField(source="cpu")
    memory_percent = serializers.FloatField(source="memory")
    gpu_percent = serializers.FloatField(source="gpu")
    software = SoftwareSerializer(many=True)
    url = serializers.CharField(source="cluster.get_absolute_url")

    def to_representation(self, instance: Card) -> dict[str, Any]:
        document = super().to_representation(instance)
        document["state"] = document["state"].lower().replace(" ", "_")
        return document


class RegisterSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=60)
    carrier = serializers.ChoiceField(
        choices=Cluster.Carrier.choices, required=False, default=Cluster.Carrier.HTTPS
    )
    description = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=2000
    )
    max_runs = serializers.IntegerField(required=False, allow_null=True, default=None)


def _price() -> serializers.DecimalField:
    return serializers.DecimalField(
        max_digits=10, decimal_places=4, min_value=0, required=False, allow_null=True
    )


class EditSerializer(serializers.Serializer):
    description = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    max_runs = serializers.IntegerField(required=False, allow_null=True)
    max_runs_per_user = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    max_runs_per_project = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    price_core_hour = _price()
    price_gpu_hour = _price()


class MaintenanceSerializer(serializers.Serializer):
    note = serializers.CharField(required=False, allow_blank=True, default="", max_length=300)


class UpdateSerializer(serializers.Serializer):
    """`may_go_back`: also where the portal's version is older than the agent's."""

    may_go_back = serializers.BooleanField(required=False, default=False)


class KeySerializer(serializers.ModelSerializer):
    """A key without its secret."""

    valid = serializers.SerializerMethodField()
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = ApiKey
        fields: ClassVar = [
            "prefix",
            "valid",
            "created_at",
            "created_by",
            "expires_at",
            "revoked_at",
            "last_used_at",
        ]

    def get_valid(self, key: ApiKey) -> bool:
        return is_valid(key, now())


class IssuedKeySerializer(KeySerializer):
    """The one answer that holds the secret."""

    key = serializers.CharField()

    class Meta(KeySerializer.Meta):
        fields: ClassVar = [*KeySerializer.Meta.fields, "key"]


class IssueSerializer(serializers.Serializer):
    days = serializers.IntegerField(required=False, allow_null=True, default=None)


class SeriesSerializer(serializers.Serializer):
    """Points of time (Unix seconds) and a list of as many values per series; all null: a gap."""

    range = serializers.CharField()
    bucket_s = serializers.IntegerField()
    x = serializers.ListField(child=serializers.FloatField())
    series = serializers.DictField(child=serializers.ListField())
    gpus = serializers.DictField()
    site = serializers.DictField()


class RunSeriesSerializer(SeriesSerializer):
    """The same, of the time of a run."""

    range = None
    cluster = serializers.CharField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class LineSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    cluster = serializers.CharField()
    origin = serializers.CharField()
    service = serializers.CharField()
    level = serializers.CharField()
    run = serializers.UUIDField(allow_null=True)
    calculation = serializers.IntegerField(allow_null=True)
    index = serializers.IntegerField(allow_null=True)
    text = serializers.CharField()

    def to_representation(self, instance: LogLine) -> dict[str, Any]:
        return line_document(instance)


class LinesSerializer(serializers.Serializer):
    """In the order of their ids; `next` is where there are more in the direction asked for."""

    next = serializers.URLField(allow_null=True)
    results = LineSerializer(many=True)


class CountSerializer(serializers.Serializer):
    lines = serializers.IntegerField()
