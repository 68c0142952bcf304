"""Versions of a model in the REST interface: added, approved, deployed, tested against the
contract.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labportal.common.pagination import KeysetPagination
from mlmodels.api import serializers as shapes
from mlmodels.models import RegisteredModel
from mlmodels.policy import require_change
from mlmodels.selectors.finding import find, find_version
from mlmodels.services import contracts, operation, versions


class VersionPagination(KeysetPagination):
    ordering = "-number"


class VersionsView(generics.GenericAPIView):
    pagination_class = VersionPagination

    @extend_schema(operation_id="model_versions", responses=shapes.VersionSerializer(many=True))
    def get(self, request: Request, name: str) -> Response:
        """The newest first."""
        model = find(request.user, name)
        rows = model.versions.select_related("created_by", "approved_by")
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(shapes.VersionSerializer(page, many=True).data)

    @extend_schema(
        operation_id="model_version_add",
        request={
            "application/json": shapes.AddVersionSerializer,
            "multipart/form-data": shapes.VersionWithFilesSerializer,
        },
        responses={201: shapes.VersionSerializer},
    )
    def post(self, request: Request, name: str) -> Response:
        """Add the next version, as JSON, or with its files as multipart/form-data.

        It starts nothing: that is `deploy`, or `start` for a model that is stopped.
        """
        model = find(request.user, name)
        require_change(request.user, model)
        values = _asked(request)
        number = values.pop("based_on", None)
        before = find_version(model, number) if number else None
        version = versions.add_version(model, based_on=before, actor=request.user, **values)
        return _answer(model, version.number, status.HTTP_201_CREATED)


def _asked(request: Request) -> dict[str, Any]:
    """The document, and the files that came with it."""
    document, files = request.data, None
    if "files" in request.FILES:
        parts = shapes.VersionWithFilesSerializer(data=request.data)
        parts.is_valid(raise_exception=True)
        document, upload = parts.validated_data["version"], parts.validated_data["files"]
        files = (upload.name, upload)
    asked = shapes.AddVersionSerializer(data=document)
    asked.is_valid(raise_exception=True)
    return {**asked.validated_data, "files": files}


class VersionView(APIView):
    @extend_schema(operation_id="model_version", responses=shapes.VersionSerializer)
    def get(self, request: Request, name: str, number: str) -> Response:
        return _answer(find(request.user, name), int(number))


class ApproveView(APIView):
    @extend_schema(
        operation_id="model_version_approve",
        request=shapes.ApprovalSerializer,
        responses=shapes.VersionSerializer,
    )
    def post(self, request: Request, name: str, number: str) -> Response:
        """Let a version run on the lab's machines; moderators and admins."""
        model = find(request.user, name)
        asked = shapes.ApprovalSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        version = find_version(model, int(number))
        versions.approve(version, **asked.validated_data, actor=request.user)
        return _answer(model, version.number)


class DeployView(APIView):
    @extend_schema(
        operation_id="model_version_deploy", request=None, responses=shapes.VersionSerializer
    )
    def post(self, request: Request, name: str, number: str) -> Response:
        """Have this version serve: it comes up beside the one that answers, and takes over once it
        is ready.
        """
        model = find(request.user, name)
        operation.deploy(find_version(model, int(number)), actor=request.user)
        return _answer(model, int(number))


class ContractView(generics.GenericAPIView):
    pagination_class = KeysetPagination

    @extend_schema(
        operation_id="model_contracts", responses=shapes.ContractCheckSerializer(many=True)
    )
    def get(self, request: Request, name: str, number: str) -> Response:
        """The contract tests of a version, the newest first."""
        version = find_version(find(request.user, name), int(number))
        page = self.paginate_queryset(version.contract_checks.select_related("by"))
        return self.get_paginated_response(shapes.ContractCheckSerializer(page, many=True).data)

    @extend_schema(
        operation_id="model_contract_test",
        request=None,
        responses={202: shapes.ContractCheckSerializer},
    )
    def post(self, request: Request, name: str, number: str) -> Response:
        """Test it on a node, with a replica of its own; one that is under way is answered."""
        version = find_version(find(request.user, name), int(number))
        made = contracts.check(version, actor=request.user)
        return Response(shapes.ContractCheckSerializer(made).data, status=status.HTTP_202_ACCEPTED)


def _answer(model: RegisteredModel, number: int, code: int = status.HTTP_200_OK) -> Response:
    return Response(shapes.VersionSerializer(find_version(model, number)).data, status=code)
