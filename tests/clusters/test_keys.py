"""API keys: shown once, two for a rotation, ended by expiry and by revoking, last use noted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clusters import keys
from clusters.exchange import handle
from clusters.keys import KeyRefused
from clusters.models import ApiKey, Cluster
from labportal.audit.models import AuditEntry
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment
from tests.clusters.factories import Agent, cluster


@pytest.fixture
def metis(db: None) -> Cluster:
    return cluster("metis")


def code_of(secret: str) -> str:
    with pytest.raises(KeyRefused) as refusal:
        keys.authenticate(f"Api-Key {secret}")
    return refusal.value.code


def test_the_secret_is_stored_nowhere(metis: Cluster, root: Any) -> None:
    key, secret = keys.issue(metis, actor=root)
    _, _, hidden = secret.removeprefix(keys.MARK).partition("_")
    assert len(hidden) > 40
    stored = [str(value) for value in ApiKey.objects.values_list().get()]
    assert not any(hidden in value for value in stored)
    entry = AuditEntry.objects.get(verb="api_key.issue")
    assert hidden not in str(entry.detail) and entry.detail["prefix"] == key.prefix
    assert hidden not in repr(key) and hidden not in str(key)


def test_a_key_opens_and_its_last_use_is_noted(metis: Cluster, root: Any) -> None:
    key, secret = keys.issue(metis, actor=root)
    assert key.last_used_at is None
    assert keys.authenticate(f"Api-Key {secret}").cluster == metis
    key.refresh_from_db()
    first = key.last_used_at
    assert now() - first < timedelta(seconds=5)
    keys.authenticate(f"Api-Key {secret}")
    key.refresh_from_db()
    assert key.last_used_at == first  # noted at most once a minute


@pytest.mark.parametrize(
    "secret", ["lpk_00000000_wrong", "lpk_", "lpk_x", "nonsense", "", "lpk_00000000_" + "x" * 9999]
)
def test_what_is_no_key_is_refused(metis: Cluster, root: Any, secret: str) -> None:
    keys.issue(metis, actor=root)
    assert code_of(secret) in {"key-unknown", "key-missing"}


def test_the_right_prefix_with_a_wrong_secret_is_refused(metis: Cluster, root: Any) -> None:
    _, secret = keys.issue(metis, actor=root)
    assert code_of(secret[:-1] + ("a" if secret[-1] != "a" else "b")) == "key-unknown"


def test_a_rotation_needs_two_keys_and_three_are_too_many(metis: Cluster, root: Any) -> None:
    old, first = keys.issue(metis, actor=root)
    _, second = keys.issue(metis, actor=root)
    with pytest.raises(WrongMoment, match="two valid keys"):
        keys.issue(metis, actor=root)
    for secret in (first, second):
        assert keys.authenticate(f"Api-Key {secret}").cluster == metis
    keys.revoke(old, actor=root)
    assert code_of(first) == "key-revoked"
    keys.issue(metis, actor=root)
    assert keys.valid_keys(metis).count() == 2


def test_an_agent_goes_on_with_its_second_key(metis: Cluster, root: Any) -> None:
    agent = Agent(metis, root)
    agent.exchange()
    first = agent.key
    agent.key, agent.secret = keys.issue(metis, actor=root)
    keys.revoke(first, actor=root)
    assert agent.exchange().cluster_id == metis.pk


def test_a_revoked_key_is_refused_at_the_next_exchange(metis: Cluster, root: Any) -> None:
    agent = Agent(metis, root)
    agent.exchange()
    keys.revoke(agent.key, actor=root)
    with pytest.raises(KeyRefused):
        handle(f"Api-Key {agent.secret}", agent.document())
    keys.revoke(agent.key, actor=root)
    assert AuditEntry.objects.filter(verb="api_key.revoke").count() == 1


def test_an_expired_key_is_refused_and_makes_room(
    metis: Cluster, root: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = keys.issue(metis, actor=root, days=30)
    keys.issue(metis, actor=root, days=365)
    later = now() + timedelta(days=31)
    monkeypatch.setattr(keys, "now", lambda: later)
    assert code_of(secret) == "key-expired"
    keys.issue(metis, actor=root)


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_the_time_of_a_key_has_bounds(metis: Cluster, root: Any, days: int) -> None:
    with pytest.raises(InvalidInput):
        keys.issue(metis, actor=root, days=days)


def test_nobody_else_issues_or_revokes(metis: Cluster, root: Any, ada: Any, max: Any) -> None:
    key, _ = keys.issue(metis, actor=root)
    for actor in (ada, max):
        with pytest.raises(NotAllowed):
            keys.issue(metis, actor=actor)
        with pytest.raises(NotAllowed):
            keys.revoke(key, actor=actor)
    assert keys.valid_keys(metis).count() == 1


def test_the_key_of_one_cluster_speaks_for_no_other(metis: Cluster, root: Any) -> None:
    _, secret = keys.issue(metis, actor=root)
    cluster("tesla")
    assert keys.authenticate(f"Api-Key {secret}").cluster == metis
