"""What a structure or a calculation is as the input of a model, in the REST interface."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labportal.accounts.roles import Can, require
from labportal.common.errors import InvalidInput, WrongMoment
from labportal.common.sending import find_subject
from mlmodels.fitting import fit
from mlmodels.selectors.finding import find


class InputSerializer(serializers.Serializer):
    content_type = serializers.CharField()
    body = serializers.CharField(help_text="as it may be sent, once nothing is missing")
    missing = serializers.ListField(child=serializers.CharField())


class ModelInputView(APIView):
    @extend_schema(
        operation_id="model_input",
        parameters=[
            OpenApiParameter(
                "subject",
                OpenApiTypes.STR,
                required=True,
                description="structure:12, calculation:7",
            )
        ],
        responses=InputSerializer,
    )
    def get(self, request: Request, name: str) -> Response:
        """The body of a call out of a structure or a result. Sent with the same key in the header
        X-Labportal-Subject, its answer is kept beside it.
        """
        require(request.user, Can.CALL_MODEL)
        model = find(request.user, name)
        key = request.query_params.get("subject", "")
        if not key:
            raise InvalidInput("Name what is to be sent, structure:12 say.", field="subject")
        subject = find_subject(request.user, key)
        version = model.current
        if version is None:
            raise WrongMoment(f"{model.name} has no version that could be called.")
        found = fit(subject, version.accepts, version.input_schema)
        if found is None:
            raise WrongMoment(f"{model.name} asks for nothing that {subject.title} has.")
        shown = {
            "content_type": found.content_type,
            "body": found.body,
            "missing": list(found.missing),
        }
        return Response(InputSerializer(shown).data)
