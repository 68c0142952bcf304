"""Fair share and licences in the REST interface."""

from __future__ import annotations

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clusters.models import Licence
from clusters.selectors.fair_share import fair_share
from clusters.selectors.licences import licences
from clusters.services import queue as services
from labportal.accounts.models import Project
from labportal.accounts.roles import Can, require


class PersonShareSerializer(serializers.Serializer):
    """A person in a project. `part` and `due`: what was used and what should be, of all that was
    used; `before`: how many others who wait now are due first.
    """

    project = serializers.CharField(source="project.slug")
    person = serializers.CharField(source="user.username")
    factor = serializers.FloatField()
    core_hours = serializers.FloatField()
    part = serializers.FloatField()
    due = serializers.FloatField()
    waiting = serializers.IntegerField()
    running = serializers.IntegerField()
    before = serializers.IntegerField()


class ProjectShareSerializer(serializers.Serializer):
    project = serializers.CharField(source="project.slug")
    shares = serializers.IntegerField()
    part = serializers.FloatField()
    due = serializers.FloatField()


class FairShareSerializer(serializers.Serializer):
    """`waiting`: how many people wait, counted in each of their projects."""

    half_life_days = serializers.FloatField()
    aging_days = serializers.FloatField()
    waiting = serializers.IntegerField()
    lines = PersonShareSerializer(many=True)
    projects = ProjectShareSerializer(many=True)


class SharesSerializer(serializers.Serializer):
    shares = serializers.IntegerField(min_value=1, max_value=1000)


class FairShareView(APIView):
    @extend_schema(operation_id="fair_share", responses=FairShareSerializer)
    def get(self, request: Request) -> Response:
        """One's own standing, the greatest factor first; everybody's for moderators."""
        require(request.user, Can.SIGN_IN)
        return Response(FairShareSerializer(fair_share(request.user)).data)


class ProjectSharesView(APIView):
    @extend_schema(
        operation_id="project_shares", request=SharesSerializer, responses=SharesSerializer
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Say how much is due to a project, against the shares of the others."""
        project = get_object_or_404(Project.objects.visible_to(request.user), slug=slug)
        require(request.user, Can.MANAGE_SETTINGS)
        asked = SharesSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        services.set_shares(project, **asked.validated_data, actor=request.user)
        return Response({"shares": project.shares})


class LicenceSerializer(serializers.Serializer):
    id = serializers.IntegerField(source="licence.pk", read_only=True)
    name = serializers.CharField(source="licence.name", max_length=60)
    seats = serializers.IntegerField(source="licence.seats", min_value=1, max_value=1_000_000)
    taken = serializers.IntegerField(read_only=True)


class NewLicenceSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=60)
    seats = serializers.IntegerField(min_value=1, max_value=1_000_000)


class SeatsSerializer(serializers.Serializer):
    seats = serializers.IntegerField(min_value=1, max_value=1_000_000)


class LicenceViewSet(viewsets.ViewSet):
    """Licences whose seats are counted over all clusters. Admins change the list."""

    lookup_value_regex = r"\d{1,9}"

    @extend_schema(responses=LicenceSerializer(many=True))
    def list(self, request: Request) -> Response:
        require(request.user, Can.SIGN_IN)
        return Response(LicenceSerializer(licences(), many=True).data)

    @extend_schema(responses=LicenceSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        require(request.user, Can.SIGN_IN)
        return self._answer(get_object_or_404(Licence, pk=pk))

    @extend_schema(request=NewLicenceSerializer, responses={201: LicenceSerializer})
    def create(self, request: Request) -> Response:
        require(request.user, Can.MANAGE_CLUSTERS)
        asked = NewLicenceSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        licence = services.add_licence(**asked.validated_data, actor=request.user)
        return self._answer(licence, status.HTTP_201_CREATED)

    @extend_schema(request=SeatsSerializer, responses=LicenceSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        licence = get_object_or_404(Licence, pk=pk)
        require(request.user, Can.MANAGE_CLUSTERS)
        asked = SeatsSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        services.change_licence(licence, **asked.validated_data, actor=request.user)
        return self._answer(licence)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        services.remove_licence(get_object_or_404(Licence, pk=pk), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _answer(self, licence: Licence, code: int = status.HTTP_200_OK) -> Response:
        found = next(seats for seats in licences() if seats.licence.pk == licence.pk)
        return Response(LicenceSerializer(found).data, code)
