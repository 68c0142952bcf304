"""Sign-in of programs: name and password for an access token, a cookie to get the next one.

The refresh token travels in the cookie only, which browsers send to these addresses alone and never
from another site; JavaScript cannot read it.
"""

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labportal.accounts.api.serializers import AccessOut, CredentialsIn
from labportal.accounts.services import sign_in, tokens
from labportal.accounts.services.tokens import SignInAgain, TokenPair

COOKIE = "labportal_refresh"
COOKIE_PATH = f"{settings.API_URL}auth/"


class Public(APIView):
    """Open to everybody: who calls has no token yet. A session cookie plays no part here."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def give(self, pair: TokenPair) -> Response:
        response = Response(AccessOut(pair).data, headers={"Cache-Control": "no-store"})
        response.set_cookie(
            COOKIE,
            pair.refresh,
            max_age=int(tokens.PortalRefreshToken.lifetime.total_seconds()),
            path=COOKIE_PATH,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Strict",
        )
        return response


class TokenView(Public):
    @extend_schema(
        request=CredentialsIn, responses=AccessOut, summary="Sign in", operation_id="auth_token"
    )
    def post(self, request: Request) -> Response:
        """Exchange name and password for an access token (10 min) and a refresh cookie (7 days)."""
        given = CredentialsIn(data=request.data)
        given.is_valid(raise_exception=True)
        plain = request._request
        user = sign_in.check(plain, **given.validated_data)
        plain.signs_in_by_token = True
        user_logged_in.send(sender=type(user), request=plain, user=user)
        return self.give(tokens.issue(user, request=plain))


class RefreshView(Public):
    @extend_schema(
        request=None,
        responses=AccessOut,
        summary="Get the next access token",
        operation_id="auth_refresh",
    )
    def post(self, request: Request) -> Response:
        """Exchange the refresh cookie for the next pair. The old one must not be used again."""
        raw = request.COOKIES.get(COOKIE, "")
        if not raw:
            raise SignInAgain
        return self.give(tokens.rotate(raw, request=request._request))


class SignOutView(Public):
    @extend_schema(
        request=None, responses={204: None}, summary="Sign out", operation_id="auth_sign_out"
    )
    def post(self, request: Request) -> Response:
        """Revoke the refresh token of the cookie and delete the cookie."""
        raw = request.COOKIES.get(COOKIE, "")
        if raw:
            tokens.end(raw)
        response = Response(status=status.HTTP_204_NO_CONTENT)
        response.delete_cookie(COOKIE, path=COOKIE_PATH, samesite="Strict")
        return response
