"""Walks every route and asks, as each persona, whether it is open: the engine of the role table.

tests/matrix_rules.py holds the rules, tests/test_matrix.py compares. Nothing here knows a route.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from labportal.accounts.models import User
from labportal.accounts.roles import GRANTS, Can, Role
from tests.factories import UserFactory

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
DENIED = frozenset({401, 403, 404})
NOT_OFFERED = 405

#: Who asks. ada made the private things and manages their project, mia is a member, eve is not.
ROLES: dict[str, Role] = {
    "ada": Role.USER,
    "mia": Role.USER,
    "eve": Role.USER,
    "max": Role.MODERATOR,
    "root": Role.ADMIN,
    "blocked": Role.ADMIN,
}
PERSONAS = frozenset({"nobody", *ROLES})

Rule = frozenset[str]
Rules = Rule | dict[str, Rule]

PUBLIC: Rule = PERSONAS
NOBODY: Rule = frozenset()
SIGNED_IN: Rule = PERSONAS - {"nobody", "blocked"}
MEMBERS: Rule = SIGNED_IN - {"eve"}
MANAGERS: Rule = frozenset({"ada", "root"})
OWNER: Rule = frozenset({"ada"})


def may(verb: Can) -> Rule:
    """Those whose role has the verb."""
    return frozenset(
        name for name, role in ROLES.items() if name != "blocked" and verb in GRANTS[role]
    )


@dataclass(frozen=True, slots=True)
class Route:
    """One address of the portal, with the names of its parameters."""

    name: str
    pattern: str
    parameters: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name or self.pattern


@dataclass
class World:
    """The people, and the things that routes name, each made when it is first asked for."""

    people: dict[str, User] = field(default_factory=dict)
    things: dict[str, Any] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def made(cls) -> "World":
        people = {name: UserFactory(username=name, role=role) for name, role in ROLES.items()}
        return cls(people)

    def thing(self, name: str, make: Callable[["World"], Any]) -> Any:
        if name not in self.things:
            self.things[name] = make(self)
        return self.things[name]

    def client(self, name: str) -> Client:
        """Return a browser in which that persona is signed in."""
        client = Client(raise_request_exception=False)
        if name == "nobody":
            return client
        if name not in self.sessions:
            person = self.people[name]
            client.force_login(person)
            self.sessions[name] = client.session.session_key or ""
            if name == "blocked":
                User.objects.filter(pk=person.pk).update(is_active=False)
                person.is_active = False
        client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[name]
        return client

    def person(self, name: str) -> User | AnonymousUser:
        return self.people.get(name) or AnonymousUser()


def routes() -> list[Route]:
    """Return every route of the URL configuration, namespaces and includes walked through."""
    found = {str(route) + route.pattern: route for route in _walk(get_resolver(), "", "", ())}
    return sorted(found.values(), key=str)


def _walk(
    resolver: URLResolver, prefix: str, namespace: str, parameters: tuple[str, ...]
) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        pattern = prefix + str(entry.pattern)
        names = (*parameters, *_parameters(entry))
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from _walk(entry, pattern, inner, names)
        else:
            name = f"{namespace}{entry.name}" if entry.name else ""
            yield Route(name, pattern, tuple(dict.fromkeys(names)))


def _parameters(entry: URLPattern | URLResolver) -> tuple[str, ...]:
    return tuple(entry.pattern.regex.groupindex)


def address(route: Route, values: dict[str, Any]) -> str:
    """Build the address; a name may stand for several routes, told apart by their parameters."""
    try:
        return reverse(route.name, kwargs=values)
    except NoReverseMatch as problem:
        raise AssertionError(f"{route} cannot be addressed with {values}") from problem


def ask(
    client: Client, method: str, path: str, fields: dict[str, Any] | None = None
) -> tuple[int, str]:
    """Send a request, empty unless told; what it changes is undone. Returns status, redirection."""
    body, kind = json.dumps(fields or {}), "application/json"
    if not path.startswith(settings.API_URL):
        body, kind = urlencode(fields or {}), "application/x-www-form-urlencoded"
    with transaction.atomic():
        response = client.generic(method, path, body, content_type=kind)
        if response.streaming:
            # The client closes what it sent once it is read; close() would close the database too.
            b"".join(response.streaming_content)
        transaction.set_rollback(True)
    return response.status_code, response.get("Location", "")


def is_denied(status: int, location: str) -> bool:
    to_sign_in = status in (301, 302, 303) and location.startswith(f"{settings.LOGIN_URL}?next=")
    return status in DENIED or to_sign_in


def rule_for(rules: Rules, method: str) -> Rule:
    return rules.get(method, NOBODY) if isinstance(rules, dict) else rules
