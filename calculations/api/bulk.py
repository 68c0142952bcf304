"""Verbs for many calculations at once in the REST interface, and the way back."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from calculations.api.serializers import CalculationSerializer
from calculations.selectors import deleted_drafts
from calculations.services import bulk, drafts


class VerbsSerializer(serializers.Serializer):
    verb = serializers.ChoiceField(choices=sorted(bulk.VERBS))
    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1), min_length=1, max_length=bulk.MOST
    )
    priority = serializers.IntegerField(required=False, help_text="for the verb of that name")


class ToldSerializer(serializers.Serializer):
    """`undo` is a token for the way back, empty where there is none."""

    done = serializers.IntegerField()
    words = serializers.CharField()
    problems = serializers.ListField(child=serializers.CharField())
    undo = serializers.CharField()


class UndoSerializer(serializers.Serializer):
    undo = serializers.CharField(max_length=100_000)


class VerbsView(APIView):
    """One verb for many; what cannot be done is said, and stops nothing else."""

    @extend_schema(
        operation_id="calculation_verbs", request=VerbsSerializer, responses=ToldSerializer
    )
    def post(self, request: Request) -> Response:
        asked = _checked(VerbsSerializer, request)
        value = asked.get("priority", "")
        return _told(bulk.do(asked["verb"], asked["ids"], actor=request.user, value=value))


class UndoView(APIView):
    """Takes back what a verb did, for some minutes."""

    @extend_schema(
        operation_id="calculation_undo", request=UndoSerializer, responses=ToldSerializer
    )
    def post(self, request: Request) -> Response:
        return _told(bulk.undo(_checked(UndoSerializer, request)["undo"], actor=request.user))


class TakeBackView(APIView):
    """Takes a draft out of the bin, where deleted ones lie for some weeks."""

    @extend_schema(
        operation_id="calculation_take_back", request=None, responses=CalculationSerializer
    )
    def post(self, request: Request, pk: int) -> Response:
        draft = get_object_or_404(deleted_drafts(request.user), pk=pk)
        drafts.restore(draft, actor=request.user)
        return Response(CalculationSerializer(draft).data)


def _checked(shape: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    asked = shape(data=request.data)
    asked.is_valid(raise_exception=True)
    return asked.validated_data


def _told(said: bulk.Told) -> Response:
    return Response(ToldSerializer(said).data)


urlpatterns = [
    path("calculations/verbs/", VerbsView.as_view(), name="api-calculation-verbs"),
    path("calculations/undo/", UndoView.as_view(), name="api-calculation-undo"),
    path(
        "calculations/<int:pk>/take-back/",
        TakeBackView.as_view(),
        name="api-calculation-take-back",
    ),
]
