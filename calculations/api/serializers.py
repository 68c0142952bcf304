"""Shapes of calculations in the API. What the values may be is decided by services, not here."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from rest_framework import serializers

from calculations.api.result_shapes import (
    AnalysisResultSerializer,
    AttemptSerializer,
    DatasetSerializer,
    InputFileSerializer,
    OutputFileSerializer,
    QuantitySerializer,
)
from calculations.models import (
    Calculation,
    Event,
    Run,
    Structure,
)
from calculations.selectors import RunsSeen, run_waits, runs_seen, waiting_reason
from calculations.services import asking
from calculations.services.drafts import DraftSpec, clusters
from calculations.states import CalculationState
from labportal.accounts.models import Project


class SweepField(serializers.JSONField):
    """{"axes": [{"parameter", "values" or "from"/"to"/"points"/"spacing"}], "mode": "chain" |
    "independent", "along": axis, "direction": "forward" | "backward", "carry": [patterns]}. One
    axis alone may stand beside the mode.

    The parameter "field" also has a "direction", "rotation" an "axis", "about" and "atoms";
    "structure" takes "structures" (their ids).
    """


class WordField(serializers.CharField):
    """A name that the cluster's site gives, empty for its usual one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            required=False, allow_blank=True, default="", trim_whitespace=False, **kwargs
        )


class DraftSerializer(serializers.Serializer):
    """What creates or changes a draft."""

    name = serializers.CharField(max_length=200)
    description = serializers.CharField(required=False, allow_blank=True, default="")
    project = serializers.SlugRelatedField(
        slug_field="slug", queryset=Project.objects.none(), required=False, allow_null=True
    )
    software = serializers.CharField(max_length=60)
    parameters = serializers.DictField(required=False, default=dict)
    sweep = SweepField(required=False, allow_null=True, default=None)
    analyses = serializers.ListField(
        child=serializers.CharField(), required=False, allow_null=True, default=None
    )
    complete = serializers.BooleanField(
        required=False, default=False, help_text="adds the analyses that those named require"
    )
    cluster = serializers.CharField(required=False, allow_null=True, default=None)
    cores = serializers.IntegerField(required=False, default=1)
    memory_mib = serializers.IntegerField(required=False, default=1024)
    walltime_s = serializers.IntegerField(required=False, default=600)
    nodes = serializers.IntegerField(
        required=False, default=1, help_text="cores, memory and GPUs are those of all nodes"
    )
    tasks = serializers.IntegerField(required=False, default=0, help_text="0: as the program wants")
    gpus = serializers.IntegerField(required=False, default=0)
    gpu_type = WordField()
    partition = WordField(help_text="of the cluster's scheduler: partition or queue")
    account = WordField()
    qos = WordField()
    licences = serializers.ListField(
        child=serializers.CharField(max_length=120),
        required=False,
        default=list,
        max_length=100,
        help_text="names with how many, such as matlab:1",
    )
    exclusive = serializers.BooleanField(
        required=False, default=False, help_text="share the nodes with nobody"
    )
    priority = serializers.IntegerField(required=False, default=0)
    keep_files = serializers.BooleanField(required=False, default=False)
    automatic_retries = serializers.IntegerField(required=False, default=0)
    structure = serializers.IntegerField(
        required=False, allow_null=True, default=None, help_text="one of the library, by its id"
    )
    pseudo_family = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, default=None, max_length=80
    )

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        request = self.context.get("request")
        if request is not None and isinstance(request.user, get_user_model()):
            fields["project"].queryset = Project.objects.visible_to(request.user)
        return fields

    def validate_cluster(self, value: str | None) -> Any:
        if not value:
            return None
        found = self.context.setdefault("clusters", {})
        if value not in found:
            found[value] = clusters().filter(name=value).first()
        if found[value] is None:
            raise serializers.ValidationError(f"there is no cluster {value[:60]!r}")
        return found[value]

    def validate_structure(self, value: int | None) -> Structure | None:
        if value is None:
            return None
        found = self.context.setdefault("structures", {})
        if value not in found:
            rows = Structure.objects.visible_to(self.context["request"].user)
            found[value] = rows.filter(pk=value).first() if 0 < value < 2**63 else None
        if found[value] is None:
            raise serializers.ValidationError(f"there is no structure {value}")
        return found[value]

    def validate_sweep(self, value: Any) -> Any:
        if value is not None and not isinstance(value, dict):
            raise serializers.ValidationError("must be an object, or null for a single run")
        return value

    def spec(self) -> DraftSpec:
        return self.to_spec(self.validated_data)

    def to_spec(self, data: dict[str, Any]) -> DraftSpec:
        project = data.get("project") or self._default_project()
        return DraftSpec(**{**data, "project": project})

    def _default_project(self) -> Project:
        if "default_project" not in self.context:
            self.context["default_project"] = Project.objects.get(is_default=True)
        return self.context["default_project"]


class RunSerializer(serializers.ModelSerializer):
    cluster = serializers.SlugRelatedField(slug_field="name", read_only=True)
    waits_for = serializers.SerializerMethodField()
    quantities = QuantitySerializer(many=True, read_only=True)

    class Meta:
        model = Run
        fields = [
            "id",
            "index",
            "state",
            "state_since",
            "reason",
            "waits_for",
            "parameters",
            "point",
            "changes",
            "automatic_retries",
            "predecessor",
            "attempt",
            "cluster",
            "progress",
            "scheduler_id",
            "pending",
            "started_at",
            "walltime_ends_at",
            "finished_at",
            "main_value",
            "disk_bytes",
            "purged_at",
            "purge_held",
            "quantities",
        ]

    def get_waits_for(self, run: Run) -> str:
        """What keeps it from starting, in one sentence; empty where nothing does."""
        return run_waits(run.state, run.waits_for, run.pending)


class RunDetailSerializer(RunSerializer):
    attempts = AttemptSerializer(many=True, read_only=True)
    datasets = DatasetSerializer(many=True, read_only=True)
    output_files = OutputFileSerializer(many=True, read_only=True)

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "attempts", "datasets", "output_files"]


class CalculationSerializer(serializers.ModelSerializer):
    """One row of the list."""

    number = serializers.CharField(read_only=True)
    project = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    cluster = serializers.SlugRelatedField(slug_field="name", read_only=True)
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True)
    waits_for = serializers.SerializerMethodField()
    run_states = serializers.SerializerMethodField()
    run_counts = serializers.SerializerMethodField()
    standing_by = serializers.SlugRelatedField(slug_field="username", read_only=True)
    trusted = serializers.BooleanField(source="is_trusted", read_only=True)
    url = serializers.CharField(source="get_absolute_url", read_only=True)

    class Meta:
        model = Calculation
        fields = [
            "id",
            "number",
            "name",
            "project",
            "software",
            "structure",
            "state",
            "state_since",
            "reason",
            "waits_for",
            "standing",
            "standing_at",
            "standing_by",
            "standing_reason",
            "doubt",
            "trusted",
            "cluster",
            "priority",
            "run_count",
            "run_states",
            "run_counts",
            "main_label",
            "main_value",
            "main_unit",
            "created_by",
            "created_at",
            "submitted_at",
            "finished_at",
            "url",
        ]

    def get_waits_for(self, calculation: Calculation) -> str:
        """What keeps it in the queue, in one sentence; empty where nothing does."""
        if calculation.state != CalculationState.QUEUED:
            return ""
        return waiting_reason(calculation, self._runs(calculation))

    def get_run_states(self, calculation: Calculation) -> list[str] | None:
        """In the order of the runs; null for more than a hundred."""
        states = self._runs(calculation).states
        return None if states is None else list(states)

    def get_run_counts(self, calculation: Calculation) -> dict[str, int]:
        """How many runs are in which state."""
        return dict(self._runs(calculation).counts)

    def _runs(self, calculation: Calculation) -> RunsSeen:
        """Look at the runs of all calculations of this answer at once."""
        seen: dict[int, RunsSeen] = self.context.setdefault("runs_seen", {})
        if calculation.pk not in seen:
            of_list = isinstance(self.parent, serializers.ListSerializer)
            seen.update(runs_seen(self.parent.instance if of_list else [calculation]))
        return seen[calculation.pk]


class CalculationDetailSerializer(CalculationSerializer):
    runs = RunSerializer(many=True, read_only=True)
    input_files = InputFileSerializer(many=True, read_only=True)
    quantities = serializers.SerializerMethodField()
    datasets = serializers.SerializerMethodField()
    analysis_results = AnalysisResultSerializer(many=True, read_only=True)

    class Meta(CalculationSerializer.Meta):
        fields = [
            *CalculationSerializer.Meta.fields,
            "description",
            "parameters",
            "sweep",
            "analyses",
            *asking.NAMES,
            "keep_files",
            "automatic_retries",
            "copied_from",
            "input_files",
            "runs",
            "quantities",
            "datasets",
            "analysis_results",
        ]

    def get_quantities(self, calculation: Calculation) -> list[dict[str, Any]]:
        """What the analyses across all runs gave."""
        return QuantitySerializer(calculation.quantities.filter(run=None), many=True).data

    def get_datasets(self, calculation: Calculation) -> list[dict[str, Any]]:
        return DatasetSerializer(calculation.datasets.filter(run=None), many=True).data


class EventSerializer(serializers.ModelSerializer):
    run_index = serializers.IntegerField(source="run.index", read_only=True, default=None)

    class Meta:
        model = Event
        fields = [
            "id",
            "at",
            "verb",
            "source",
            "target",
            "run",
            "run_index",
            "attempt",
            "actor_label",
            "note",
            "evidence",
        ]


class BulkSerializer(serializers.Serializer):
    """Many drafts at once; `submit` submits them in the same transaction."""

    calculations = DraftSerializer(many=True, allow_empty=False, max_length=1000)
    submit = serializers.BooleanField(default=False)


class CreatedSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    state = serializers.CharField()
