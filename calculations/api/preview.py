"""What a draft would run and cost, before anything is stored."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from calculations.api.serializers import DraftSerializer
from calculations.models import Calculation, LabSettings
from calculations.policy import review_reason
from calculations.services import drafts
from calculations.services.preview import input_files
from calculations.services.sweeps import axes_of, needed_files
from calculations.software.registry import get_software
from calculations.sweeps.planner import chain_depth, points_of
from labportal.accounts.roles import Can, require


class PreviewSerializer(DraftSerializer):
    run = serializers.IntegerField(
        min_value=1, max_value=1000, default=1, help_text="whose input files are shown"
    )


class PlannedSerializer(serializers.Serializer):
    """`continues` is the number of the run whose files it takes, null for a start of its own."""

    number = serializers.IntegerField()
    point = serializers.ListField()
    continues = serializers.IntegerField(allow_null=True)


class AxisSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    unit = serializers.CharField()


class FileSerializer(serializers.Serializer):
    name = serializers.CharField()
    text = serializers.CharField()


class AbleSerializer(serializers.Serializer):
    """A cluster that has the program; `why_not` says why it can never run this, empty where it
    can.
    """

    cluster = serializers.CharField()
    why_not = serializers.CharField(allow_blank=True)


class EstimateSerializer(serializers.Serializer):
    """`core_hours` and `gpu_hours` are the most that it may use, `price` what they cost on the
    cluster that is chosen, `longest_s` the time if every run takes its limit; `review` says why a
    moderator must agree, empty where the rule approves.
    """

    axes = AxisSerializer(many=True)
    runs = PlannedSerializer(many=True)
    core_hours = serializers.FloatField()
    gpu_hours = serializers.FloatField()
    price = serializers.FloatField(allow_null=True)
    clusters = AbleSerializer(many=True)
    longest_s = serializers.IntegerField()
    review = serializers.CharField(allow_blank=True)
    needed_files = serializers.ListField(child=serializers.CharField())
    files = FileSerializer(many=True)


class PreviewView(APIView):
    @extend_schema(
        operation_id="calculation_preview", request=PreviewSerializer, responses=EstimateSerializer
    )
    def post(self, request: Request) -> Response:
        """Check a draft and return its runs, input files and cost; stores nothing."""
        require(request.user, Can.CREATE_CALCULATION)
        asked = PreviewSerializer(data=request.data, context={"request": request})
        asked.is_valid(raise_exception=True)
        said = dict(asked.validated_data)
        number = said.pop("run")
        trial = Calculation(**drafts.clean(asked.to_spec(said), actor=request.user))
        return Response(EstimateSerializer(_estimate(trial, number)).data)


def _estimate(trial: Calculation, number: int) -> dict[str, Any]:
    runs = [
        {"number": i, "point": point, "continues": None if before is None else before + 1}
        for i, (point, before) in enumerate(points_of(trial.sweep), start=1)
    ]
    software = get_software(trial.software)
    return {
        "axes": axes_of(trial),
        "runs": runs,
        "core_hours": trial.core_hours_limit,
        "gpu_hours": trial.gpu_hours_limit,
        "price": trial.price_limit,
        "clusters": _clusters(trial),
        "longest_s": trial.walltime_s * chain_depth(trial.sweep),
        "review": review_reason(trial, LabSettings.current()),
        "needed_files": list(needed_files(trial)),
        "files": input_files(software, trial.parameters, trial.sweep, number - 1),
    }


def _clusters(trial: Calculation) -> list[dict[str, str]]:
    """The chosen cluster, or all that are enabled."""
    known = [trial.cluster] if trial.cluster else drafts.clusters().filter(enabled=True)
    return [
        {"cluster": one.name, "why_not": one.why_never(trial.resources)}
        for one in known
        if one.offers(trial.software)
    ]


urlpatterns = [
    path("calculations/preview/", PreviewView.as_view(), name="api-calculation-preview"),
]
