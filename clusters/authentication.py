"""Agents at the REST interface: an API key instead of a person, on the agents' own routes alone."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from clusters.keys import KeyRefused, authenticate
from clusters.models import ApiKey, Cluster


class AgentAuthentication(BaseAuthentication):
    """`request.auth` is the key; there is no user."""

    def authenticate(self, request: Request) -> tuple[None, ApiKey]:
        try:
            return None, authenticate(request.headers.get("Authorization", ""))
        except KeyRefused as refusal:
            raise AuthenticationFailed(refusal.message, code=refusal.code) from None

    def authenticate_header(self, request: Request) -> str:
        return "Api-Key"


class IsAgent(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, ApiKey)


def cluster_of(request: Request) -> Cluster:
    return request.auth.cluster
