"""Sign-in of programs: name and password for an access token, and a way to get the next one.

For pages the refresh token travels in a cookie only, which browsers send to these addresses alone
and never from another site; JavaScript cannot read it. A program that can keep a secret in a file
of its own asks for it in the body: only who shows a refresh token there is given one there.
"""

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labportal.accounts.api.serializers import AccessOut, CredentialsIn, PairOut, RefreshIn
from labportal.accounts.services import sign_in, tokens
from labportal.accounts.services.tokens import SignInAgain, TokenPair

COOKIE = "labportal_refresh"
COOKIE_PATH = f"{settings.API_URL}auth/"


class Public(APIView):
    """Open to everybody: who calls has no token yet. A session cookie plays no part here."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def give(self, pair: TokenPair, *, in_body: bool) -> Response:
        shape = PairOut if in_body else AccessOut
        response = Response(shape(pair).data, headers={"Cache-Control": "no-store"})
        if in_body:
            return response
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


def shown(request: Request) -> tuple[str, bool]:
    """Return the refresh token that the caller shows, and whether in the body."""
    given = RefreshIn(data=request.data)
    given.is_valid(raise_exception=True)
    if given.validated_data["refresh"]:
        return given.validated_data["refresh"], True
    return request.COOKIES.get(COOKIE, ""), False


class TokenView(Public):
    @extend_schema(
        request=CredentialsIn, responses=PairOut, summary="Sign in", operation_id="auth_token"
    )
    def post(self, request: Request) -> Response:
        """Exchange name and password for an access token (10 min) and a refresh token (7 days).

        The refresh token is a cookie, or with `program` in the answer for a program to keep.
        """
        given = CredentialsIn(data=request.data)
        given.is_valid(raise_exception=True)
        credentials = dict(given.validated_data)
        in_body = credentials.pop("program")
        plain = request._request
        user = sign_in.check(plain, **credentials)
        plain.signs_in_by_token = True
        user_logged_in.send(sender=type(user), request=plain, user=user)
        return self.give(tokens.issue(user, request=plain), in_body=in_body)


class RefreshView(Public):
    @extend_schema(
        request=RefreshIn,
        responses=PairOut,
        summary="Get the next access token",
        operation_id="auth_refresh",
    )
    def post(self, request: Request) -> Response:
        """Exchange the refresh token for the next pair. The old one must not be used again."""
        raw, in_body = shown(request)
        if not raw:
            raise SignInAgain
        return self.give(tokens.rotate(raw, request=request._request), in_body=in_body)


class SignOutView(Public):
    @extend_schema(
        request=RefreshIn, responses={204: None}, summary="Sign out", operation_id="auth_sign_out"
    )
    def post(self, request: Request) -> Response:
        """Revoke the refresh token, and delete the cookie."""
        raw, _ = shown(request)
        if raw:
            tokens.end(raw)
        response = Response(status=status.HTTP_204_NO_CONTENT)
        response.delete_cookie(COOKIE, path=COOKIE_PATH, samesite="Strict")
        return response
