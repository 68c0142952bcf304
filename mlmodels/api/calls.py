"""Calls that may take long, in the REST interface: ask, look, cancel, fetch the answer."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.http import FileResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labportal.common.errors import InvalidInput
from labportal.common.negotiation import AsItIs
from labportal.common.pagination import KeysetPagination
from mlmodels.content import GUARDS
from mlmodels.models import AsyncInvocation
from mlmodels.models.version import without_heavy
from mlmodels.selectors.finding import find, find_call, find_version
from mlmodels.services import async_calls
from mlmodels.states import AsyncState

AMAZON = "X-Amzn-SageMaker"
TIMEOUT = f"{AMAZON}-InvocationTimeoutSeconds"
USUAL = str(async_calls.USUAL_S)


class AsyncInvocationSerializer(serializers.ModelSerializer):
    """`result`: where the answer is fetched, once there is one."""

    model = serializers.SlugRelatedField(slug_field="name", read_only=True)
    version = serializers.SlugRelatedField(slug_field="number", read_only=True)
    user = serializers.SlugRelatedField(slug_field="username", read_only=True)
    url = serializers.SerializerMethodField()
    result = serializers.SerializerMethodField()

    class Meta:
        model = AsyncInvocation
        fields = (
            "id",
            "model",
            "version",
            "user",
            "state",
            "why",
            "status",
            "inference_id",
            "content_type",
            "body_size",
            "result_type",
            "result_size",
            "timeout_s",
            "tries",
            "created_at",
            "started_at",
            "ended_at",
            "url",
            "result",
        )
        read_only_fields = fields

    def get_url(self, call: AsyncInvocation) -> str:
        return reverse("api-model-async-call", args=[call.model.name, call.pk])

    def get_result(self, call: AsyncInvocation) -> str | None:
        if not call.result_key:
            return None
        return reverse("api-model-async-result", args=[call.model.name, call.pk])


class CallPagination(KeysetPagination):
    ordering = ("-created_at", "-pk")


class AsyncCallsView(APIView):
    parser_classes = []
    content_negotiation_class = AsItIs

    @extend_schema(
        operation_id="model_async_calls",
        parameters=[OpenApiParameter("state", OpenApiTypes.STR, enum=AsyncState.values)],
        responses=AsyncInvocationSerializer(many=True),
    )
    def get(self, request: Request, name: str) -> Response:
        """One's own, the newest first; for moderators everybody's."""
        state = request.query_params.get("state", "")
        if state and state not in AsyncState.values:
            raise InvalidInput(f"must be one of {', '.join(AsyncState.values)}", field="state")
        rows = AsyncInvocation.objects.visible_to(request.user).filter(
            model=find(request.user, name)
        )
        rows = rows.filter(state=state) if state else rows
        rows = rows.select_related("model", "version", "user").defer(*without_heavy("version"))
        pages = CallPagination()
        page = pages.paginate_queryset(rows, request)
        return pages.get_paginated_response(AsyncInvocationSerializer(page, many=True).data)

    @extend_schema(
        operation_id="model_async_call_create",
        parameters=[
            OpenApiParameter("version", OpenApiTypes.INT, description="else the one that serves"),
            OpenApiParameter("notify", OpenApiTypes.BOOL, description="by e-mail; yes unless told"),
            OpenApiParameter(
                TIMEOUT,
                OpenApiTypes.INT,
                OpenApiParameter.HEADER,
                description=f"{USUAL} unless told",
            ),
        ],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={202: AsyncInvocationSerializer},
    )
    def post(self, request: Request, name: str) -> Response:
        """Queue a call; the body is the model's, with its Content-Type and Accept."""
        if "Transfer-Encoding" in request.headers:  # WSGI would show an empty body
            raise InvalidInput("Send the header Content-Length.", code="length", status=411)
        model = find(request.user, name)
        number = request.query_params.get("version", "")
        call = async_calls.ask(
            model,
            cast(Any, request._request),
            user=request.user,
            version=find_version(model, _number("version", number)) if number else None,
            content_type=request.headers.get("Content-Type", ""),
            accept=request.headers.get("Accept", ""),
            inference_id=request.headers.get(f"{AMAZON}-Inference-Id", ""),
            custom_attributes=request.headers.get(f"{AMAZON}-Custom-Attributes", ""),
            timeout_s=_number(TIMEOUT, request.headers.get(TIMEOUT, "") or USUAL),
            notifies=request.query_params.get("notify", "").lower() not in ("no", "false", "0"),
        )
        shown = AsyncInvocationSerializer(call).data
        return Response(shown, status.HTTP_202_ACCEPTED, headers={"Location": shown["url"]})


class AsyncCallView(APIView):
    @extend_schema(operation_id="model_async_call", responses=AsyncInvocationSerializer)
    def get(self, request: Request, name: str, call_id: UUID) -> Response:
        """How a call does."""
        return Response(AsyncInvocationSerializer(_call(request, name, call_id)).data)


class CancelView(APIView):
    @extend_schema(
        operation_id="model_async_call_cancel", request=None, responses=AsyncInvocationSerializer
    )
    def post(self, request: Request, name: str, call_id: UUID) -> Response:
        """Let a call go; one that is under way is broken off."""
        call = async_calls.cancel(_call(request, name, call_id), actor=request.user)
        return Response(AsyncInvocationSerializer(call).data)


class ResultView(APIView):
    content_negotiation_class = AsItIs

    @extend_schema(
        operation_id="model_async_call_result",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, name: str, call_id: UUID) -> FileResponse:
        """The answer as the model gave it."""
        call = _call(request, name, call_id)
        kind = call.result_type or "application/octet-stream"
        return FileResponse(
            async_calls.result_of(call),
            as_attachment=True,
            filename=f"{name}-{str(call.pk)[:8]}",
            content_type=kind,
            headers={**GUARDS, "Content-Length": str(call.result_size)},
        )


def _call(request: Request, name: str, call_id: UUID) -> AsyncInvocation:
    return find_call(request.user, find(request.user, name), call_id)


def _number(field: str, text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise InvalidInput("Give a whole number.", field=field)
    return int(text)
