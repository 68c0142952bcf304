"""People in the API: the list and the verbs for those who may, and oneself as `me`."""

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from labportal.accounts import selectors
from labportal.accounts.api import serializers
from labportal.accounts.authentication import IsActiveUser, Needs
from labportal.accounts.models import User
from labportal.accounts.roles import Can, Role
from labportal.accounts.services import sessions, users


def checked(serializer: type[Serializer], request: Request) -> dict[str, object]:
    """Return the body as that shape, or answer 400 with what is wrong by field."""
    given = serializer(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


@extend_schema_view(
    list=extend_schema(parameters=[OpenApiParameter("text", str, description="Searches names")])
)
class UserViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """Accounts. Everybody may look themselves up."""

    serializer_class = serializers.UserOut
    permission_classes = (IsActiveUser, Needs)
    lookup_value_regex = r"\d{1,18}"
    ordering = "-id"
    needs = {
        "list": Can.VIEW_USERS,
        "create": Can.CREATE_USERS,
        "partial_update": Can.CREATE_USERS,
        "destroy": Can.DELETE_USERS,
        "block": Can.BLOCK_USERS,
        "unblock": Can.BLOCK_USERS,
        "set_password": Can.SET_PASSWORDS,
    }

    def get_queryset(self) -> QuerySet[User]:
        text = self.request.query_params.get("text", "")[:100].replace("\0", "")
        return selectors.users_for(self.request.user, text=text)

    @extend_schema(request=serializers.UserIn, responses={201: serializers.UserOut})
    def create(self, request: Request) -> Response:
        given = checked(serializers.UserIn, request)
        user = users.create(**given, actor=request.user)
        return Response(self.get_serializer(user).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=serializers.UserChange)
    def partial_update(self, request: Request, pk: str) -> Response:
        user = self.get_object()
        changes = checked(serializers.UserChange, request)
        role = changes.pop("role", None)
        if changes:
            users.change_profile(user, changes, actor=request.user)
        if role is not None:
            users.change_role(user, Role(str(role)), actor=request.user)
        return Response(self.get_serializer(user).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        users.delete(self.get_object(), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def block(self, request: Request, pk: str) -> Response:
        user = users.block(self.get_object(), actor=request.user)
        return Response(self.get_serializer(user).data)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def unblock(self, request: Request, pk: str) -> Response:
        user = users.unblock(self.get_object(), actor=request.user)
        return Response(self.get_serializer(user).data)

    @extend_schema(request=serializers.PasswordIn)
    @action(detail=True, methods=["post"], url_path="set-password")
    def set_password(self, request: Request, pk: str) -> Response:
        given = checked(serializers.PasswordIn, request)
        user = users.set_password(self.get_object(), str(given["password"]), actor=request.user)
        return Response(self.get_serializer(user).data)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"], url_path="sign-out-everywhere")
    def sign_out_everywhere(self, request: Request, pk: str) -> Response:
        """End every session and token: one's own, or as an admin anybody's."""
        user = sessions.sign_out_everywhere(self.get_object(), actor=request.user)
        return Response(self.get_serializer(user).data)


class MeView(APIView):
    """Oneself: name, preferences, and what one's role may do."""

    @extend_schema(responses=serializers.MeOut)
    def get(self, request: Request) -> Response:
        return Response(serializers.MeOut(request.user).data)

    @extend_schema(request=serializers.MeChange, responses=serializers.MeOut)
    def patch(self, request: Request) -> Response:
        changes = checked(serializers.MeChange, request)
        user = users.change_profile(request.user, changes, actor=request.user)
        return Response(serializers.MeOut(user).data)


class MyPasswordView(APIView):
    @extend_schema(request=serializers.OwnPasswordIn, responses={204: None})
    def post(self, request: Request) -> Response:
        """Change one's password. Every session and token ends, the caller's too."""
        given = checked(serializers.OwnPasswordIn, request)
        users.change_own_password(
            request.user, old=str(given["old_password"]), new=str(given["new_password"])
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class MySignInsView(APIView):
    @extend_schema(responses=serializers.SignInsOut)
    def get(self, request: Request) -> Response:
        """Where one is signed in: browsers, and programs with a refresh token."""
        found = {
            "browsers": selectors.browsers_of(request.user),
            "programs": selectors.programs_of(request.user),
        }
        return Response(serializers.SignInsOut(found).data)


class MyBrowserView(APIView):
    @extend_schema(responses={204: None})
    def delete(self, request: Request, session_id: str) -> Response:
        """Sign one of one's browsers out."""
        sessions.revoke_browser(int(session_id), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class MyProgramView(APIView):
    @extend_schema(responses={204: None})
    def delete(self, request: Request, grant_id: str) -> Response:
        """Revoke the refresh token of one of one's programs."""
        sessions.revoke_grant(int(grant_id), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
