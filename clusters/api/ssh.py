"""The way to a cluster that the portal signs in to, in the REST interface; admins alone."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clusters.api.clusters import cluster_of
from clusters.models import Cluster, SshAccess, SshSession
from clusters.selectors.ssh import Way, way_of
from clusters.services import ssh
from labportal.accounts.roles import Can


class AccessSerializer(serializers.ModelSerializer):
    """What is left out stays as it is; the first time host and user are needed."""

    class Meta:
        model = SshAccess
        fields: ClassVar = list(ssh.FIELDS)
        extra_kwargs: ClassVar = {name: {"required": False} for name in ssh.FIELDS}


class HostKeySerializer(serializers.Serializer):
    kind = serializers.CharField()
    fingerprint = serializers.CharField()
    confirmed = serializers.BooleanField()


class SessionSerializer(serializers.ModelSerializer):
    class Meta:
        model = SshSession
        fields: ClassVar = [
            "kind",
            "began_at",
            "ended_at",
            "code",
            "words",
            "steps",
            "exchanges",
            "bytes_sent",
            "bytes_fetched",
        ]


class WaySerializer(serializers.Serializer):
    """`access` is null before it was set up; `last_test.steps` grow while a test goes on."""

    access = AccessSerializer(allow_null=True)
    authorized_keys_line = serializers.CharField(source="authorized_line")
    has_certificate = serializers.SerializerMethodField()
    offered_host_keys = HostKeySerializer(source="offered", many=True)
    host_keys = HostKeySerializer(source="confirmed", many=True)
    failures = serializers.IntegerField(source="access.failures", default=0)
    last_error = serializers.CharField(source="access.last_error", default="")
    held_at = serializers.DateTimeField(source="access.held_at", default=None)
    last_test = SessionSerializer(source="test", allow_null=True)
    visits = SessionSerializer(source="sessions", many=True)

    def get_has_certificate(self, way: Way) -> bool:
        return bool(way.access and way.access.certificate)


class KeySerializer(serializers.Serializer):
    """Without a private key the portal makes one of its own."""

    private_key = serializers.CharField(required=False, trim_whitespace=False, max_length=20_000)
    certificate = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=20_000
    )


class ConfirmSerializer(serializers.Serializer):
    fingerprints = serializers.ListField(child=serializers.CharField(max_length=100), max_length=20)


class SshView(APIView):
    def cluster(self, request: Request, name: str) -> Cluster:
        found = cluster_of(request, name, Can.MANAGE_CLUSTERS)
        if found.carrier != Cluster.Carrier.SSH:
            raise Http404
        return found

    def answer(self, cluster: Cluster, code: int = status.HTTP_200_OK) -> Response:
        return Response(WaySerializer(way_of(cluster)).data, status=code)


class AccessView(SshView):
    @extend_schema(responses=WaySerializer)
    def get(self, request: Request, name: str) -> Response:
        return self.answer(self.cluster(request, name))

    @extend_schema(request=AccessSerializer, responses=WaySerializer)
    def patch(self, request: Request, name: str) -> Response:
        """Say where to sign in. Another host's keys have to be confirmed anew."""
        cluster = self.cluster(request, name)
        asked = AccessSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        ssh.set_up(cluster, **asked.validated_data, actor=request.user)
        return self.answer(cluster)


class AccessKeyView(SshView):
    @extend_schema(request=KeySerializer, responses=WaySerializer)
    def post(self, request: Request, name: str) -> Response:
        """Use another key. No answer ever holds the private half."""
        cluster = self.cluster(request, name)
        asked = KeySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given: dict[str, Any] = asked.validated_data
        if given.get("private_key"):
            ssh.enter_key(cluster, **given, actor=request.user)
        else:
            ssh.make_key(cluster, actor=request.user)
        return self.answer(cluster)


class HostKeysView(SshView):
    @extend_schema(request=None, responses={202: WaySerializer})
    def post(self, request: Request, name: str) -> Response:
        """Have the host asked for its keys; they appear as offered within seconds."""
        cluster = self.cluster(request, name)
        ssh.ask_for_host_keys(cluster, actor=request.user)
        return self.answer(cluster, status.HTTP_202_ACCEPTED)


class ConfirmView(SshView):
    @extend_schema(request=ConfirmSerializer, responses=WaySerializer)
    def post(self, request: Request, name: str) -> Response:
        """Trust the offered keys; all their fingerprints have to be named."""
        cluster = self.cluster(request, name)
        asked = ConfirmSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        ssh.confirm_host_keys(cluster, **asked.validated_data, actor=request.user)
        return self.answer(cluster)


class TestView(SshView):
    @extend_schema(request=None, responses={202: WaySerializer})
    def post(self, request: Request, name: str) -> Response:
        """Have each step to the agent tried."""
        cluster = self.cluster(request, name)
        ssh.test(cluster, actor=request.user)
        return self.answer(cluster, status.HTTP_202_ACCEPTED)


class ResumeView(SshView):
    @extend_schema(request=None, responses=WaySerializer)
    def post(self, request: Request, name: str) -> Response:
        """Go there again although it failed."""
        cluster = self.cluster(request, name)
        ssh.resume(cluster, actor=request.user)
        return self.answer(cluster)
