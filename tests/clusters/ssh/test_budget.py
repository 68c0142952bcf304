"""A site is gone to as often as it bears, whoever asks, and left alone when it is in trouble."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clusters.models import Cluster, SshAccess, SshSession
from clusters.services import ssh
from clusters.transports.ssh import budget
from clusters.transports.ssh.troubles import Code
from clusters.transports.trials import Trouble
from labportal.common import clock
from labportal.common.clock import now

EXCHANGE, TEST = SshSession.Kind.EXCHANGE, SshSession.Kind.TEST
REFUSED = Trouble(Code.REFUSED, "The host refused the connection.")
SIGN_IN = Trouble(Code.SIGN_IN, "The host did not accept the key.")


@pytest.fixture
def access(root: Any) -> SshAccess:
    cluster = Cluster.objects.create(name="hpc", carrier="ssh")
    access = ssh.set_up(cluster, host="login.hpc.example", user="lab", actor=root)
    SshAccess.objects.update(host_keys="ssh-ed25519 AAAA")
    return access


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    moment = now() + timedelta(seconds=seconds)
    for module in (clock, budget):
        monkeypatch.setattr(module, "now", lambda: moment)


def test_one_exchange_at_a_time_and_a_test_beside_it(access: SshAccess) -> None:
    budget.claim(access, EXCHANGE)
    with pytest.raises(budget.Denied, match="an exchange goes on"):
        budget.claim(access, EXCHANGE)
    budget.claim(access, TEST)
    with pytest.raises(budget.Denied, match="as many sessions as the site allows"):
        budget.claim(access, TEST)


def test_so_many_a_minute_and_no_more(access: SshAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(6):
        budget.end(budget.claim(access, EXCHANGE))
    with pytest.raises(budget.Denied, match="in a minute") as denied:
        budget.claim(access, EXCHANGE)
    assert 0 < (denied.value.until - now()).total_seconds() <= 60
    later(monkeypatch, 61)
    assert budget.claim(access, EXCHANGE)


def test_pauses_double_until_an_operator_is_waited_for(access: SshAccess) -> None:
    pauses = []
    for _ in range(5):
        budget.failed(access.cluster_id, REFUSED)
        access.refresh_from_db()
        pauses.append(round((access.not_before - now()).total_seconds()))
    assert pauses == [20, 40, 80, 160, 320]
    assert access.held_at is not None
    SshAccess.objects.update(not_before=None)
    with pytest.raises(budget.Denied, match="held for an operator"):
        budget.claim(access, EXCHANGE)
    assert budget.claim(access, TEST)  # by which the operator finds out


@pytest.mark.parametrize(("trouble", "tries"), [(REFUSED, 5), (SIGN_IN, 3)])
def test_a_refused_key_is_shown_fewer_times(
    access: SshAccess, trouble: Trouble, tries: int
) -> None:
    for number in range(1, tries + 1):
        budget.failed(access.cluster_id, trouble)
        access.refresh_from_db()
        assert bool(access.held_at) == (number == tries)


def test_another_host_key_holds_at_once_even_in_a_test(access: SshAccess) -> None:
    session = budget.claim(access, TEST)
    budget.end(session, Trouble(Code.HOST_KEY, "Another key."))
    access.refresh_from_db()
    assert access.held_at is not None


def test_what_works_forgets_what_failed(access: SshAccess) -> None:
    budget.failed(access.cluster_id, REFUSED)
    SshAccess.objects.update(not_before=None)
    budget.end(budget.claim(access, EXCHANGE))
    access.refresh_from_db()
    assert (access.failures, access.last_error, access.not_before) == (0, "", None)


def test_what_is_due(access: SshAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    assert budget.due(now()) == [access.cluster_id]  # never been there
    SshAccess.objects.update(last_try_at=now())
    assert budget.due(now()) == []
    assert budget.due(now() + timedelta(seconds=31)) == [access.cluster_id]
    Cluster.objects.update(desired=1)
    assert budget.due(now()) == [access.cluster_id]  # something is wanted
    SshAccess.objects.update(told=1, held_at=now())
    assert budget.due(now() + timedelta(days=1)) == []


def test_sessions_are_forgotten(access: SshAccess) -> None:
    budget.end(budget.claim(access, EXCHANGE))
    SshSession.objects.update(began_at=now() - timedelta(days=4))
    assert budget.forget_old() == 1
