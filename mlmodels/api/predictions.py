"""What a model was asked and answered, in the REST interface: searched, fetched, exported."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labportal.common.errors import InvalidInput
from labportal.common.negotiation import AsItIs
from labportal.common.pagination import KeysetPagination
from labportal.common.storage import storage
from mlmodels.content import GUARDS
from mlmodels.predictions import keeping
from mlmodels.predictions.exporting import FORMATS, document_of
from mlmodels.predictions.searching import Wanted, search
from mlmodels.predictions.searching import find as find_prediction
from mlmodels.selectors.finding import find

FILTERS = [
    OpenApiParameter("text", OpenApiTypes.STR, description="words in what was asked or answered"),
    OpenApiParameter("subject", OpenApiTypes.STR, description="what it is about: structure:12"),
    OpenApiParameter("person", OpenApiTypes.STR),
    OpenApiParameter("version", OpenApiTypes.INT),
    OpenApiParameter("since", OpenApiTypes.DATETIME),
    OpenApiParameter("until", OpenApiTypes.DATETIME),
]


class PredictionSerializer(serializers.Serializer):
    """`input` and `output`: JSON as what it says, other text as it is; null where it is a file."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    person = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    status = serializers.IntegerField()
    ms = serializers.FloatField(allow_null=True)
    inference_id = serializers.CharField()
    subject = serializers.CharField()
    input_type = serializers.CharField()
    input = serializers.JSONField(allow_null=True)
    input_is_file = serializers.BooleanField()
    output_type = serializers.CharField()
    output = serializers.JSONField(allow_null=True)
    output_is_file = serializers.BooleanField()


class PredictionsView(APIView):
    @extend_schema(
        operation_id="model_predictions",
        parameters=FILTERS,
        responses=PredictionSerializer(many=True),
    )
    def get(self, request: Request, name: str) -> Response:
        """The newest first; what was asked about things of others is left out."""
        rows = search(request.user, find(request.user, name), Wanted.read(request.query_params))
        pages = KeysetPagination()
        found = pages.paginate_queryset(rows, request)
        return pages.get_paginated_response([document_of(one) for one in found])


class PredictionView(APIView):
    @extend_schema(operation_id="model_prediction", responses=PredictionSerializer)
    def get(self, request: Request, name: str, number: str) -> Response:
        model = find(request.user, name)
        return Response(document_of(find_prediction(request.user, model, int(number))))

    @extend_schema(operation_id="model_prediction_delete", responses={204: None})
    def delete(self, request: Request, name: str, number: str) -> Response:
        """For good. One's own; of others for whoever may change the model."""
        model = find(request.user, name)
        keeping.delete(find_prediction(request.user, model, int(number)), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class BodyView(APIView):
    content_negotiation_class = AsItIs

    @extend_schema(
        operation_id="model_prediction_body",
        parameters=[
            OpenApiParameter(
                "part", OpenApiTypes.STR, OpenApiParameter.PATH, enum=["input", "output"]
            )
        ],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, name: str, number: str, part: str) -> HttpResponseBase:
        """What was asked, or what was answered, as it was."""
        model = find(request.user, name)
        found = find_prediction(request.user, model, int(number))
        kind = getattr(found, f"{part}_type") or "application/octet-stream"
        key, text = getattr(found, f"{part}_key"), getattr(found, f"{part}_text")
        file = f"{name}-{number}-{part}"
        if not key:
            headers = {**GUARDS, "Content-Disposition": f'attachment; filename="{file}"'}
            return HttpResponse(text, content_type=kind, headers=headers)
        return FileResponse(
            storage().open(key),
            as_attachment=True,
            filename=file,
            content_type=kind,
            headers=GUARDS,
        )


class ExportView(APIView):
    content_negotiation_class = AsItIs

    @extend_schema(
        operation_id="model_predictions_export",
        parameters=[
            OpenApiParameter("format", OpenApiTypes.STR, enum=list(FORMATS), required=True),
            *FILTERS,
        ],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, name: str) -> StreamingHttpResponse:
        """All that the filters leave, as a data set: jsonl, csv or parquet."""
        model = find(request.user, name)
        chosen = FORMATS.get(request.query_params.get("format", ""))
        if chosen is None:
            raise InvalidInput(f"must be one of {', '.join(FORMATS)}", field="format")
        rows = search(request.user, model, Wanted.read(request.query_params))
        response = StreamingHttpResponse(_begun(chosen.write(rows)), chosen.content_type)
        response["Content-Disposition"] = (
            f'attachment; filename="{name}-predictions.{chosen.ending}"'
        )
        return response


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Make the first piece before the answer begins: what cannot be exported is refused then."""
    first = next(pieces, b"")

    def rest() -> Iterator[bytes]:
        yield first
        yield from pieces

    return rest()
