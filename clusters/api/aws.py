"""The way to a cluster in AWS, in the REST interface; admins alone. No answer holds the secret."""

from __future__ import annotations

from typing import ClassVar

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clusters.api.clusters import cluster_of
from clusters.models import AwsAccess, AwsExecution, Cluster
from clusters.selectors.aws import AwsWay, aws_way_of
from clusters.services import aws
from labportal.accounts.roles import Can


class AwsAccessSerializer(serializers.ModelSerializer):
    """What is left out stays as it is; the first time state machine and bucket are needed."""

    secret = serializers.CharField(
        required=False, allow_blank=True, write_only=True, trim_whitespace=False, max_length=200
    )

    class Meta:
        model = AwsAccess
        fields: ClassVar = [*aws.FIELDS, "secret", "learned_samples_per_s"]
        read_only_fields: ClassVar = ["learned_samples_per_s"]
        extra_kwargs: ClassVar = {name: {"required": False} for name in aws.FIELDS}


class AwsStepSerializer(serializers.Serializer):
    name = serializers.CharField()
    ok = serializers.BooleanField(allow_null=True)
    found = serializers.CharField(allow_blank=True)
    remedy = serializers.CharField(allow_blank=True)


class AwsExecutionSerializer(serializers.ModelSerializer):
    class Meta:
        model = AwsExecution
        fields: ClassVar = [
            "run",
            "attempt",
            "state",
            "since",
            "execution_arn",
            "functions",
            "progress",
            "waits_for",
        ]


class AwsWaySerializer(serializers.Serializer):
    """`access` is null before it was set up; `steps` grow while a test goes on."""

    access = AwsAccessSerializer(allow_null=True)
    has_secret = serializers.SerializerMethodField()
    testing = serializers.BooleanField()
    steps = AwsStepSerializer(many=True)
    failures = serializers.IntegerField(source="access.failures", default=0)
    last_error = serializers.CharField(source="access.last_error", default="")
    held_at = serializers.DateTimeField(source="access.held_at", default=None)
    executions = AwsExecutionSerializer(many=True)

    def get_has_secret(self, way: AwsWay) -> bool:
        return bool(way.access and way.access.sealed_secret)


class AwsView(APIView):
    def cluster(self, request: Request, name: str) -> Cluster:
        found = cluster_of(request, name, Can.MANAGE_CLUSTERS)
        if found.carrier != Cluster.Carrier.AWS:
            raise Http404
        return found

    def answer(self, cluster: Cluster, code: int = status.HTTP_200_OK) -> Response:
        return Response(AwsWaySerializer(aws_way_of(cluster)).data, status=code)


class AwsAccessView(AwsView):
    @extend_schema(responses=AwsWaySerializer)
    def get(self, request: Request, name: str) -> Response:
        return self.answer(self.cluster(request, name))

    @extend_schema(request=AwsAccessSerializer, responses=AwsWaySerializer)
    def patch(self, request: Request, name: str) -> Response:
        """Say where the state machine is and what its functions have."""
        cluster = self.cluster(request, name)
        asked = AwsAccessSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        aws.set_up(cluster, **asked.validated_data, actor=request.user)
        return self.answer(cluster)


class AwsTestView(AwsView):
    @extend_schema(request=None, responses={202: AwsWaySerializer})
    def post(self, request: Request, name: str) -> Response:
        """Have credentials, state machine and bucket tried."""
        cluster = self.cluster(request, name)
        aws.test(cluster, actor=request.user)
        return self.answer(cluster, status.HTTP_202_ACCEPTED)


class AwsResumeView(AwsView):
    @extend_schema(request=None, responses=AwsWaySerializer)
    def post(self, request: Request, name: str) -> Response:
        """Go there again although it failed."""
        cluster = self.cluster(request, name)
        aws.resume(cluster, actor=request.user)
        return self.answer(cluster)
