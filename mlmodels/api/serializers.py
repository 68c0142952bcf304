"""Shapes of models, versions, replicas and their tests in the API. Services say what the values may
be.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from clusters.intake import line_document
from clusters.models import Cluster, LogLine
from labportal.common.errors import InvalidInput
from mlmodels.models import ContractCheck, ModelEvent, ModelVersion, RegisteredModel
from mlmodels.selectors.cards import Card
from mlmodels.services.models import EDITABLE
from mlmodels.services.versions import FIELDS


def _person() -> serializers.SlugRelatedField:
    return serializers.SlugRelatedField(slug_field="username", read_only=True)


def _number(**more: Any) -> serializers.SlugRelatedField:
    """A version by its number."""
    return serializers.SlugRelatedField(slug_field="number", read_only=True, **more)


class ModelSerializer(serializers.ModelSerializer):
    """A model with what may be changed of it; `current`, `serving`, `previous`: versions."""

    created_by = _person()
    current = _number()
    serving = _number()
    previous = _number()
    clusters = serializers.SlugRelatedField(slug_field="name", many=True, read_only=True)
    url = serializers.CharField(source="get_absolute_url", read_only=True)

    class Meta:
        model = RegisteredModel
        fields: ClassVar = [
            "name",
            "description",
            "state",
            "why",
            "since",
            "desired",
            "asleep",
            "current",
            "serving",
            "previous",
            "clusters",
            *sorted(EDITABLE - {"description"}),
            "created_by",
            "created_at",
            "url",
        ]


class RecentSerializer(serializers.Serializer):
    """The calls of the last quarter of an hour; `p95_ms` of those that were answered well."""

    calls = serializers.IntegerField()
    failed = serializers.IntegerField()
    per_minute = serializers.FloatField()
    p95_ms = serializers.FloatField(allow_null=True)


class CardSerializer(serializers.Serializer):
    """The model, and how it does; `ready` counts replicas of the current version."""

    replicas = serializers.IntegerField()
    ready = serializers.IntegerField()
    recent = RecentSerializer()
    answered_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, instance: Card) -> dict[str, Any]:
        return {
            **ModelSerializer(instance.model).data,
            "replicas": len(instance.current),
            "ready": instance.ready,
            "recent": RecentSerializer(instance.recent).data,
            "answered_at": instance.answered_at,
        }


class ModelCardSerializer(ModelSerializer, CardSerializer):
    """How the description of the interface tells of a model's document."""

    class Meta(ModelSerializer.Meta):
        fields: ClassVar = [
            *ModelSerializer.Meta.fields,
            "replicas",
            "ready",
            "recent",
            "answered_at",
        ]


class EditModelSerializer(serializers.ModelSerializer):
    """What is given is changed, the rest stays; no clusters: wherever there is room."""

    clusters = serializers.SlugRelatedField(
        slug_field="name", many=True, required=False, queryset=Cluster.objects.filter(enabled=True)
    )
    schedule = serializers.DictField(
        required=False,
        help_text='{} for day and night, or such as {"start_at": "07:00", "stop_at": "20:00", '
        '"days": [0, 1, 2, 3, 4], "time_zone": "Europe/Berlin"}; Monday is 0.',
    )

    class Meta:
        model = RegisteredModel
        fields: ClassVar = ["clusters", *sorted(EDITABLE)]
        extra_kwargs: ClassVar = {name: {"required": False} for name in EDITABLE}


class RegisterModelSerializer(EditModelSerializer):
    """A model without a version yet."""

    class Meta(EditModelSerializer.Meta):
        fields: ClassVar = ["name", *EditModelSerializer.Meta.fields]
        extra_kwargs: ClassVar = {
            **EditModelSerializer.Meta.extra_kwargs,
            "name": {"validators": []},  # said by the service, with the remedy
        }


class VersionSerializer(serializers.ModelSerializer):
    """A version. Of its secrets only the names are told."""

    created_by = _person()
    approved_by = _person()

    class Meta:
        model = ModelVersion
        fields: ClassVar = [
            "number",
            *FIELDS,
            "files_name",
            "files_size",
            "files_sha256",
            "secret_names",
            "created_by",
            "created_at",
            "approved_by",
            "approved_at",
            "contract_passed_at",
        ]


class AddVersionSerializer(serializers.ModelSerializer):
    """The next version. `based_on`: the number of one whose secrets stand in for those given as "",
    and whose files are taken where `keep_files` says so.
    """

    command = serializers.ListField(child=serializers.CharField(), required=False)
    environment = serializers.DictField(child=serializers.CharField(), required=False)
    secrets = serializers.DictField(
        child=serializers.CharField(allow_blank=True), required=False, write_only=True
    )
    accepts = serializers.ListField(child=serializers.CharField(), required=False)
    input_schema = serializers.DictField(required=False)
    output_schema = serializers.DictField(required=False)
    files_url = serializers.CharField(required=False, allow_blank=True, max_length=1000)
    files_sha256 = serializers.CharField(required=False, allow_blank=True, max_length=64)
    based_on = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    keep_files = serializers.BooleanField(required=False, default=False)

    class Meta:
        model = ModelVersion
        fields: ClassVar = [
            *FIELDS,
            "secrets",
            "files_url",
            "files_sha256",
            "based_on",
            "keep_files",
        ]


class VersionWithFilesSerializer(serializers.Serializer):
    """A version with its files, as multipart/form-data: `version` is its document as JSON."""

    version = serializers.JSONField()
    files = serializers.FileField(help_text="A tar.gz for /opt/ml/model.")

    def validate_version(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InvalidInput("must be an object, as JSON", field="version")
        return value


class ApprovalSerializer(serializers.Serializer):
    note = serializers.CharField(required=False, allow_blank=True, default="", max_length=2000)


class StopModelSerializer(serializers.Serializer):
    why = serializers.CharField(required=False, allow_blank=True, default="", max_length=300)


class StartModelSerializer(serializers.Serializer):
    """`version`: its number; unless told, the one that served last."""

    version = serializers.IntegerField(required=False, allow_null=True, min_value=1)


class SignSerializer(serializers.Serializer):
    name = serializers.CharField()
    state = serializers.CharField()
    label = serializers.CharField()
    found = serializers.CharField()
    when = serializers.DateTimeField(allow_null=True)


class ReplicaSerializer(serializers.Serializer):
    """A replica with its three signs. `stale`: its cluster is silent, this is what was last heard;
    `ended`: how its process ended before.
    """

    id = serializers.UUIDField(source="replica.pk")
    version = serializers.IntegerField(source="replica.version.number")
    cluster = serializers.CharField(source="replica.cluster.name")
    wanted = serializers.CharField(source="replica.wanted")
    state = serializers.CharField(source="replica.state")
    why = serializers.CharField(source="replica.why")
    since = serializers.DateTimeField(source="replica.since")
    stale = serializers.BooleanField()
    signs = SignSerializer(many=True)
    launch = serializers.IntegerField(source="replica.launch")
    restarts = serializers.IntegerField(source="replica.restarts")
    again_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField(source="replica.started_at")
    ready_at = serializers.DateTimeField(source="replica.ready_at")
    pinged_at = serializers.DateTimeField(source="replica.pinged_at")
    answered_at = serializers.DateTimeField(source="replica.answered_at")
    draining_at = serializers.DateTimeField(source="replica.draining_at")
    ended = serializers.CharField()
    tail = serializers.ListField(child=serializers.CharField())
    runtime = serializers.CharField()
    cpu_percent = serializers.FloatField(allow_null=True)
    memory_mib = serializers.FloatField(allow_null=True)
    gpus = serializers.ListField(child=serializers.IntegerField())


class NamedCheckSerializer(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    ok = serializers.BooleanField()
    detail = serializers.CharField()


class ContractCheckSerializer(serializers.ModelSerializer):
    """A contract test; it runs until `ended_at`."""

    by = _person()
    checks = NamedCheckSerializer(many=True, read_only=True)

    class Meta:
        model = ContractCheck
        fields: ClassVar = ["id", "by", "began_at", "ended_at", "passed", "why", "checks"]


class ModelEventSerializer(serializers.ModelSerializer):
    version = _number()

    class Meta:
        model = ModelEvent
        fields: ClassVar = [
            "id",
            "at",
            "verb",
            "version",
            "replica",
            "actor_label",
            "note",
            "evidence",
        ]


class ModelLineSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    cluster = serializers.CharField()
    launch = serializers.IntegerField()
    level = serializers.CharField()
    text = serializers.CharField()

    def to_representation(self, instance: LogLine) -> dict[str, Any]:
        document = line_document(instance)
        told = {name: document[name] for name in ("id", "at", "cluster", "level", "text")}
        return {**told, "launch": instance.launch}


class ModelLinesSerializer(serializers.Serializer):
    """In the order of their ids; `next` is where there are more in the direction asked for."""

    next = serializers.URLField(allow_null=True)
    results = ModelLineSerializer(many=True)
