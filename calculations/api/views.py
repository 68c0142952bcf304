"""Calculations in the REST interface. An action fetches, calls one service, answers."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from calculations import selectors
from calculations.api import serializers as shapes
from calculations.api import software, wishes
from calculations.api.standing import StandingActions
from calculations.matrix import changed_cells
from calculations.models import Calculation, OutputFile, Quantity, Run
from calculations.sending import send
from calculations.services import drafts, extension, inputs, lifecycle, reanalysis, submission
from calculations.services.sweeps import run_numbers
from labportal.common.errors import InvalidInput

FILTERS = [
    OpenApiParameter(name, OpenApiTypes.STR, description="narrows the list")
    for name in (
        "state",
        "software",
        "project",
        "person",
        "cluster",
        "structure",
        "standing",
        "text",
    )
]


class CalculationViewSet(
    StandingActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet
):
    """What scientists ask for. A wrong moment answers 409, a forbidden verb 403."""

    queryset = Calculation.objects.none()
    serializer_class = shapes.CalculationSerializer
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[Calculation]:
        rows = selectors.calculations(
            self.request.user, selectors.Filters.read(self.request.query_params)
        )
        if self.action == "retrieve":
            runs = Run.objects.order_by("index").select_related("cluster")
            quantities = Prefetch("quantities", Quantity.objects.order_by("id"))
            rows = rows.prefetch_related(
                Prefetch("runs", runs.prefetch_related(quantities)),
                "input_files",
                "analysis_results",
            )
        return rows

    def get_serializer_class(self) -> type:
        if self.action == "retrieve":
            return shapes.CalculationDetailSerializer
        if self.action in ("create", "update"):
            return shapes.DraftSerializer
        return shapes.CalculationSerializer

    @extend_schema(parameters=FILTERS)
    def list(self, request: Request, *args: object, **kwargs: object) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(
        request=shapes.DraftSerializer, responses={201: shapes.CalculationDetailSerializer}
    )
    def create(self, request: Request) -> Response:
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        calculation = drafts.create(asked.spec(), actor=request.user)
        return self._detail(calculation, status.HTTP_201_CREATED)

    @extend_schema(request=shapes.DraftSerializer, responses=shapes.CalculationDetailSerializer)
    def update(self, request: Request, pk: str) -> Response:
        calculation = self.get_object()
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return self._detail(drafts.change(calculation, asked.spec(), actor=request.user))

    def destroy(self, request: Request, pk: str) -> Response:
        drafts.delete(self.get_object(), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        request=shapes.BulkSerializer, responses={201: shapes.CreatedSerializer(many=True)}
    )
    @action(detail=False, methods=["post"])
    def bulk(self, request: Request) -> Response:
        """Create up to 1,000 drafts, all or none, and submit them if asked to."""
        asked = shapes.BulkSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        draft = asked.fields["calculations"].child
        specs = [draft.to_spec(item) for item in asked.validated_data["calculations"]]
        with transaction.atomic():
            created = drafts.create_all(specs, actor=request.user)
            if asked.validated_data["submit"]:
                submission.submit_all(created, actor=request.user)
        answer = [{"id": c.pk, "state": c.state} for c in created]
        return Response(answer, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=shapes.CalculationSerializer)
    @action(detail=True, methods=["post"])
    def submit(self, request: Request, pk: str) -> Response:
        calculation = self.get_object()
        submission.submit(calculation, actor=request.user)
        return self._row(calculation)

    @extend_schema(request=None, responses=shapes.CalculationSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        calculation = self.get_object()
        submission.withdraw(calculation, actor=request.user)
        return self._row(calculation)

    @extend_schema(request=wishes.NoteSerializer, responses=shapes.CalculationSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        calculation = self.get_object()
        submission.approve(calculation, actor=request.user, note=self._note())
        return self._row(calculation)

    @extend_schema(request=wishes.NoteSerializer, responses=shapes.CalculationSerializer)
    @action(detail=True, methods=["post"], url_path="send-back")
    def send_back(self, request: Request, pk: str) -> Response:
        calculation = self.get_object()
        submission.send_back(calculation, actor=request.user, note=self._note())
        return self._row(calculation)

    @extend_schema(request=wishes.CancelSerializer, responses=shapes.CalculationSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel the calculation, or the runs of the given numbers."""
        calculation = self.get_object()
        said = self._said(wishes.CancelSerializer)
        lifecycle.cancel(calculation, actor=request.user, why=said["note"], numbers=said["runs"])
        return self._row(calculation)

    @extend_schema(request=wishes.RetrySerializer, responses=shapes.CalculationSerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Run again what is not valid, or the runs of the given numbers with what they need."""
        calculation = self.get_object()
        said = self._said(wishes.RetrySerializer)
        lifecycle.retry(
            calculation, actor=request.user, advised=said["advised"], numbers=said["runs"]
        )
        return self._row(calculation)

    @extend_schema(request=wishes.ExtendSerializer, responses=wishes.ExtensionSerializer)
    @action(detail=True, methods=["post"])
    def extend(self, request: Request, pk: str) -> Response:
        """Add values to the axes of a sweep, with all combinations; `preview` stores nothing."""
        calculation = self.get_object()
        said = self._said(wishes.ExtendSerializer)
        found = extension.preview(calculation, said["axes"], actor=request.user)
        if not said["preview"]:
            extension.extend(calculation, said["axes"], actor=request.user)
        return Response(wishes.ExtensionSerializer(found).data)

    @extend_schema(request=wishes.AnalysesSerializer, responses={202: wishes.AnalysesSerializer})
    @action(detail=True, methods=["post"])
    def analyses(self, request: Request, pk: str) -> Response:
        """Compute analyses from stored results, without a new run; a worker does it.

        A choice that lacks what it requires is refused; `complete` adds it.
        """
        calculation = self.get_object()
        asked = wishes.AnalysesSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        names = reanalysis.ask(calculation, **asked.validated_data, actor=request.user)
        answer = {"names": names, "complete": asked.validated_data["complete"]}
        return Response(answer, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=wishes.PrioritySerializer, responses=shapes.CalculationSerializer)
    @action(detail=True, methods=["post"])
    def priority(self, request: Request, pk: str) -> Response:
        calculation = self.get_object()
        asked = wishes.PrioritySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        lifecycle.set_priority(calculation, asked.validated_data["priority"], actor=request.user)
        return self._row(calculation)

    @extend_schema(request=None, responses={201: shapes.CalculationDetailSerializer})
    @action(detail=True, methods=["post"])
    def duplicate(self, request: Request, pk: str) -> Response:
        copy = drafts.duplicate(self.get_object(), actor=request.user)
        return self._detail(copy, status.HTTP_201_CREATED)

    @extend_schema(responses=shapes.EventSerializer(many=True))
    @action(detail=True, pagination_class=None)
    def events(self, request: Request, pk: str) -> Response:
        """Each change of state in order: when, who or what, and the evidence."""
        rows = self.get_object().events.select_related("run")
        return Response(shapes.EventSerializer(rows, many=True).data)

    @extend_schema(
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={201: shapes.InputFileSerializer, 204: None},
    )
    @action(
        detail=True,
        methods=["put", "delete"],
        url_path=r"files/(?P<name>[^/]+)",
        parser_classes=[],
    )
    def files(self, request: Request, pk: str, name: str) -> Response:
        """Put or delete an input file of a draft; the body is the file."""
        calculation = self.get_object()
        if request.method == "DELETE":
            drafts.detach(calculation, name, actor=request.user)
            return Response(status=status.HTTP_204_NO_CONTENT)
        if "Transfer-Encoding" in request.headers:  # WSGI would show an empty body
            raise InvalidInput("Send the header Content-Length.", code="length", status=411)
        stored = drafts.attach(calculation, name, request._request, actor=request.user)
        return Response(shapes.InputFileSerializer(stored).data, status.HTTP_201_CREATED)

    @extend_schema(
        parameters=[
            OpenApiParameter("of", OpenApiTypes.STR, description="the quantity; else the main one"),
            OpenApiParameter("runs", OpenApiTypes.STR, description="numbers, such as 3,7-9"),
        ],
        responses=wishes.CellsSerializer,
    )
    @action(detail=True)
    def cells(self, request: Request, pk: str) -> Response:
        """State and one quantity of each run: what the matrix of a sweep shows."""
        numbers = run_numbers(request.query_params.get("runs"))
        found = changed_cells(self.get_object(), request.query_params.get("of", ""), numbers)
        return Response({"cells": found})

    @extend_schema(responses=shapes.CreatedSerializer)
    @action(detail=True)
    def state(self, request: Request, pk: str) -> Response:
        """Return the state alone: cheap enough to ask often."""
        rows = Calculation.objects.visible_to(request.user).values("id", "state")
        return Response(get_object_or_404(rows, pk=pk))

    def _note(self) -> str:
        return self._said(wishes.NoteSerializer)["note"]

    def _said(self, shape: type[Serializer]) -> dict[str, Any]:
        asked = shape(data=self.request.data)
        asked.is_valid(raise_exception=True)
        return asked.validated_data

    def _row(self, calculation: Calculation) -> Response:
        return Response(shapes.CalculationSerializer(calculation).data)

    def _detail(self, calculation: Calculation, code: int = status.HTTP_200_OK) -> Response:
        return Response(shapes.CalculationDetailSerializer(calculation).data, status=code)


class RunViewSet(mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """One run with its attempts, datasets and files."""

    queryset = Run.objects.none()
    serializer_class = shapes.RunDetailSerializer

    def get_queryset(self) -> QuerySet[Run]:
        rows = Run.objects.visible_to(self.request.user).select_related("cluster")
        return rows.prefetch_related("quantities", "datasets", "attempts__cluster", "output_files")

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(detail=True, url_path=r"files/(?P<file_id>\d{1,18})")
    def files(self, request: Request, pk: str, file_id: str) -> HttpResponseBase:
        """Download one of the files that the run left."""
        item = get_object_or_404(OutputFile, run=self.get_object(), pk=file_id)
        return send(item.key, item.name, span=request.headers.get("Range", ""))


class SoftwareViewSet(viewsets.ViewSet):
    """The numerical software that the portal knows, with the schema of its parameters."""

    lookup_value_regex = r"[\w-]{1,60}"

    @extend_schema(operation_id="software_list", responses=OpenApiTypes.OBJECT)
    def list(self, request: Request) -> Response:
        return Response(software.describe_all())

    @extend_schema(
        parameters=[OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)],
        responses=OpenApiTypes.OBJECT,
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(software.describe(pk))

    @extend_schema(
        parameters=[OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)],
        request=OpenApiTypes.OBJECT,
        responses=OpenApiTypes.OBJECT,
    )
    @action(detail=True, methods=["post"])
    def preview(self, request: Request, pk: str) -> Response:
        """Return the input files as they would be written for the given parameters."""
        if not isinstance(request.data, dict):
            raise InvalidInput("must be an object of parameters")
        return Response(software.preview(pk, request.data))

    @extend_schema(
        parameters=[OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)],
        request=wishes.InputTextSerializer,
        responses=OpenApiTypes.OBJECT,
    )
    @action(detail=True, methods=["post"], url_path="read-input")
    def read_input(self, request: Request, pk: str) -> Response:
        """Return what a whole input file says, as parameters, with notes on what was assumed."""
        asked = wishes.InputTextSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        found = inputs.read(software.find(pk), asked.validated_data["input"])
        return Response({"parameters": found.parameters, "notes": found.notes})
