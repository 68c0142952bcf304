"""Projects and their members in the API."""

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from labportal.accounts import selectors
from labportal.accounts.api import serializers
from labportal.accounts.api.users import checked
from labportal.accounts.models import Project, ProjectRole
from labportal.accounts.services import projects


class ProjectViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """Projects that one may see. Managers of a project, and admins, change it."""

    serializer_class = serializers.ProjectOut
    lookup_value_regex = r"\d{1,18}"
    ordering = "-id"

    def get_queryset(self) -> QuerySet[Project]:
        text = self.request.query_params.get("text", "")[:100].replace("\0", "")
        return selectors.projects_for(self.request.user, text=text)

    @extend_schema(request=serializers.ProjectIn, responses={201: serializers.ProjectOut})
    def create(self, request: Request) -> Response:
        project = projects.create(**checked(serializers.ProjectIn, request), actor=request.user)
        return Response(self._data(project), status=status.HTTP_201_CREATED)

    @extend_schema(request=serializers.ProjectChange)
    def partial_update(self, request: Request, pk: str) -> Response:
        project = self.get_object()
        projects.require_manager(request.user, project)
        projects.change(project, **checked(serializers.ProjectChange, request), actor=request.user)
        return Response(self._data(project))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        projects.delete(self.get_object(), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _data(self, project: Project) -> dict[str, object]:
        return self.get_serializer(self.get_queryset().get(pk=project.pk)).data


def _visible(request: Request, project_id: str) -> Project:
    return get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)


class MembersView(APIView):
    @extend_schema(responses=serializers.MemberOut(many=True))
    def get(self, request: Request, project_id: str) -> Response:
        """The members of a project that one may see."""
        members = _visible(request, project_id).memberships.select_related("user")
        return Response(serializers.MemberOut(members, many=True).data)

    @extend_schema(request=serializers.MemberIn, responses=serializers.MemberOut)
    def post(self, request: Request, project_id: str) -> Response:
        """Add a member, or change what they are in the project."""
        project = _visible(request, project_id)
        projects.require_manager(request.user, project)
        given = checked(serializers.MemberIn, request)
        member = projects.set_member(
            project,
            username=str(given["username"]),
            role=ProjectRole(str(given["role"])),
            actor=request.user,
        )
        return Response(serializers.MemberOut(member).data)


class MemberView(APIView):
    @extend_schema(responses={204: None})
    def delete(self, request: Request, project_id: str, user_id: str) -> Response:
        """Take a member out, or leave."""
        project = _visible(request, project_id)
        projects.remove_member(project, user_id=int(user_id), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
