"""The verbs of trust and of raw files in the REST interface, as a part of the calculations'."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from calculations.api import serializers as shapes
from calculations.api import wishes
from calculations.services import keeping, standing


class KeepSerializer(serializers.Serializer):
    keep = serializers.BooleanField()


class StandingActions:
    """Expects the viewset's `get_object`, `_note` and `_row`."""

    @extend_schema(request=wishes.NoteSerializer, responses=shapes.CalculationSerializer)
    @action(detail=True, methods=["post"])
    def validate(self, request: Request, pk: str) -> Response:
        """Vouch for the results as a second person; the note is needed where a rule failed."""
        calculation = self.get_object()
        standing.validate(calculation, actor=request.user, note=self._note())
        return self._row(calculation)

    @extend_schema(request=wishes.NoteSerializer, responses=shapes.CalculationSerializer)
    @action(detail=True, methods=["post"])
    def retract(self, request: Request, pk: str) -> Response:
        """Take the results back; the note is the reason, and is needed."""
        calculation = self.get_object()
        standing.retract(calculation, actor=request.user, reason=self._note())
        return self._row(calculation)

    @extend_schema(request=wishes.NoteSerializer, responses=shapes.CalculationSerializer)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: str) -> Response:
        """Undo a retraction; the note is the reason, and is needed."""
        calculation = self.get_object()
        standing.restore(calculation, actor=request.user, reason=self._note())
        return self._row(calculation)

    @extend_schema(request=KeepSerializer, responses=shapes.CalculationSerializer)
    @action(detail=True, methods=["post"], url_path="keep-files")
    def keep_files(self, request: Request, pk: str) -> Response:
        """Keep the raw files on the cluster for good, or let them go when their time is over."""
        calculation = self.get_object()
        asked = KeepSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        keeping.keep_files(calculation, keep=asked.validated_data["keep"], actor=request.user)
        return self._row(calculation)
