"""Models in the REST interface. An action fetches, calls one service, answers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from labportal.common.errors import InvalidInput
from labportal.common.pagination import KeysetPagination
from mlmodels.api import serializers as shapes
from mlmodels.models import RegisteredModel
from mlmodels.selectors import cards
from mlmodels.selectors.finding import find, find_version
from mlmodels.services import models, operation
from mlmodels.states import ModelState

NAME_PATTERN = r"[a-z0-9][a-z0-9-]{0,62}"
NAME = OpenApiParameter("name", OpenApiTypes.STR, OpenApiParameter.PATH)
STATE = OpenApiParameter("state", OpenApiTypes.STR, enum=ModelState.values)
TEXT = OpenApiParameter("text", OpenApiTypes.STR, description="in the name or the description")


class ModelPagination(KeysetPagination):
    ordering = "name"


class ModelViewSet(viewsets.GenericViewSet):
    """Models that answer calls. Everybody may look; who registered one, moderators and admins
    change, start and stop it.
    """

    queryset = RegisteredModel.objects.none()
    pagination_class = ModelPagination
    lookup_field = "name"
    lookup_value_regex = NAME_PATTERN

    @extend_schema(parameters=[STATE, TEXT], responses=shapes.ModelCardSerializer(many=True))
    def list(self, request: Request) -> Response:
        """By name; `state` and `text` narrow."""
        state, text = (request.query_params.get(name, "") for name in ("state", "text"))
        if state and state not in ModelState.values:
            raise InvalidInput(f"must be one of {', '.join(ModelState.values)}", field="state")
        found = cards.narrow(cards.models(request.user), state=state, text=text[:200])
        page = self.paginate_queryset(found.prefetch_related("clusters"))
        return self.get_paginated_response(_documents(page or []))

    @extend_schema(parameters=[NAME], responses=shapes.ModelCardSerializer)
    def retrieve(self, request: Request, name: str) -> Response:
        return self._answer(find(request.user, name))

    @extend_schema(
        request=shapes.RegisterModelSerializer, responses={201: shapes.ModelCardSerializer}
    )
    def create(self, request: Request) -> Response:
        """Register a model; its first version is posted to it afterwards."""
        asked = self._asked(shapes.RegisterModelSerializer)
        model = models.register(**asked, actor=request.user)
        return self._answer(model, status.HTTP_201_CREATED)

    @extend_schema(
        parameters=[NAME], request=shapes.EditModelSerializer, responses=shapes.ModelCardSerializer
    )
    def partial_update(self, request: Request, name: str) -> Response:
        model = find(request.user, name)
        asked = self._asked(shapes.EditModelSerializer, partial=True)
        return self._answer(models.update(model, **asked, actor=request.user))

    @extend_schema(parameters=[NAME], responses={204: None})
    def destroy(self, request: Request, name: str) -> Response:
        """Delete a model: its replicas end, its name is free again."""
        models.remove(find(request.user, name), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        parameters=[NAME], request=shapes.StartModelSerializer, responses=shapes.ModelCardSerializer
    )
    @action(detail=True, methods=["post"])
    def start(self, request: Request, name: str) -> Response:
        """Want it running; 409 while its version waits for approval."""
        model = find(request.user, name)
        number = self._asked(shapes.StartModelSerializer).get("version")
        version = find_version(model, number) if number else None
        return self._answer(operation.start(model, version=version, actor=request.user))

    @extend_schema(
        parameters=[NAME], request=shapes.StopModelSerializer, responses=shapes.ModelCardSerializer
    )
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, name: str) -> Response:
        """Want it stopped; versions and settings stay."""
        model = find(request.user, name)
        asked = self._asked(shapes.StopModelSerializer)
        return self._answer(operation.stop(model, **asked, actor=request.user))

    @extend_schema(parameters=[NAME], request=None, responses=shapes.ModelCardSerializer)
    @action(detail=True, methods=["post"])
    def restart(self, request: Request, name: str) -> Response:
        """Start every replica anew; what was given up is tried again."""
        return self._answer(operation.restart(find(request.user, name), actor=request.user))

    @extend_schema(parameters=[NAME], request=None, responses=shapes.ModelCardSerializer)
    @action(detail=True, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Request, name: str) -> Response:
        """Deploy the version that served before."""
        return self._answer(operation.roll_back(find(request.user, name), actor=request.user))

    @extend_schema(parameters=[NAME], responses=shapes.ModelEventSerializer(many=True))
    @action(detail=True)
    def events(self, request: Request, name: str) -> Response:
        """What happened to it, the newest first."""
        rows = find(request.user, name).events.select_related("version")
        pagination = KeysetPagination()
        page = pagination.paginate_queryset(rows, request, view=self)
        return pagination.get_paginated_response(shapes.ModelEventSerializer(page, many=True).data)

    def _asked(self, shape: type[Serializer], **more: Any) -> dict[str, Any]:
        asked = shape(data=self.request.data, **more)
        asked.is_valid(raise_exception=True)
        return asked.validated_data

    def _answer(self, model: RegisteredModel, code: int = status.HTTP_200_OK) -> Response:
        return Response(_documents([model])[0], status=code)


def _documents(found: list[RegisteredModel]) -> list[dict[str, Any]]:
    return [shapes.CardSerializer(card).data for card in cards.cards(found)]
