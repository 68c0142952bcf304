"""Who a request of the API comes from: an access token, or the session of the page.

Named in the settings of the REST framework. A token counts only while its person is not blocked
and has not been signed out everywhere since.
"""

from typing import Any

from rest_framework import authentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed

from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.accounts.services.tokens import EPOCH_CLAIM


class TokenAuthentication(JWTAuthentication):
    """`Authorization: Bearer <access token>`."""

    def get_user(self, validated_token: Any) -> User:
        user = super().get_user(validated_token)
        if validated_token.get(EPOCH_CLAIM) != user.sign_out_epoch:
            raise AuthenticationFailed("This token was revoked. Sign in again.", code="revoked")
        return user


class SessionAuthentication(authentication.SessionAuthentication):
    """The signed-in browser; unsafe methods need the CSRF token. Answers 401 to nobody."""

    def authenticate_header(self, request: Request) -> str:
        return 'Session realm="api"'


class IsActiveUser(BasePermission):
    """The default: an active person who is signed in."""

    message = "Sign in first."

    def has_permission(self, request: Request, view: Any) -> bool:
        return can(request.user, Can.SIGN_IN)


class Needs(BasePermission):
    """Asks for the verb that the view names: `needs = Can.X`, or `needs = {"action": Can.X}`.

    An action that the mapping does not name needs nothing more than to be signed in.
    """

    message = "Your role does not allow this."

    def has_permission(self, request: Request, view: Any) -> bool:
        needs = getattr(view, "needs", Can.SIGN_IN)
        if isinstance(needs, dict):
            needs = needs.get(getattr(view, "action", None), Can.SIGN_IN)
        return can(request.user, needs)
