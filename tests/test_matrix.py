"""Every route and every topic, for every role, nobody and the blocked, against the rules."""

import pytest
from django.contrib.auth.models import AnonymousUser

from labportal.accounts.models import User
from labportal.realtime import access, topics
from labportal.realtime.access import Identity
from tests.matrix import (
    METHODS,
    NOT_OFFERED,
    PERSONAS,
    Route,
    World,
    address,
    ask,
    is_denied,
    routes,
    rule_for,
)
from tests.matrix_objects import values_of
from tests.matrix_rules import BODIES, RULES, TOPICS

pytestmark = pytest.mark.django_db

ROUTES = routes()


@pytest.fixture
def world() -> World:
    return World.made()


def test_every_route_has_a_name_and_a_rule() -> None:
    nameless = [route.pattern for route in ROUTES if not route.name]
    assert not nameless, "name these routes"
    missing = sorted({route.name for route in ROUTES} - set(RULES))
    assert not missing, "say in tests/matrix_rules.py who may come in"


def test_no_rule_is_left_over() -> None:
    assert sorted(set(RULES) - {route.name for route in ROUTES}) == []


@pytest.mark.parametrize("route", [r for r in ROUTES if r.name in RULES], ids=str)
def test_a_route_lets_in_whom_its_rule_names(route: Route, world: World) -> None:
    rules = RULES[route.name]
    path = address(route, values_of(route, world))
    wrong, offered = [], False
    for method in METHODS:
        allowed = rule_for(rules, method)
        for persona in sorted(PERSONAS):
            status, location = ask(world.client(persona), method, path, BODIES.get(route.name))
            if status == NOT_OFFERED:
                continue
            denied = is_denied(status, location)
            offered = offered or not denied
            if denied == (persona in allowed) or status == 500:
                wrong.append(f"{method} {path} as {persona}: {status} {location}".rstrip())
    assert not wrong, "\n".join(["", *wrong])
    assert offered or not any(rule_for(rules, method) for method in METHODS)


def test_every_topic_has_a_rule() -> None:
    assert topics.kinds() == set(TOPICS)


@pytest.mark.parametrize("kind", sorted(TOPICS))
@pytest.mark.parametrize("persona", sorted(PERSONAS))
def test_a_topic_is_told_to_whom_its_rule_names(kind: str, persona: str, world: World) -> None:
    name_of, allowed = TOPICS[kind]
    topic = name_of(world)
    user = world.people.get(persona)
    if user is None:
        assert access.by_session(AnonymousUser(), "") is None
        return
    world.client(persona)
    identity = Identity(user.pk, User.objects.get(pk=user.pk).sign_out_epoch)
    judged = access.judge_all(identity, [topic])
    assert bool(judged and judged[topic]) is (persona in allowed)
