"""Exchanges through a real SSH server: runs, files, and everything that breaks on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calculations.models import Run
from clusters import placement
from clusters.models import SshAccess, SshSession
from clusters.transports.ssh import visits
from tests.calculations.factories import submitted
from tests.clusters.ssh.sshd import Sshd

pytestmark = [pytest.mark.ssh, pytest.mark.django_db(transaction=True)]


def run_of(ada: Any, **wishes: Any) -> Run:
    calculation = submitted(ada, **wishes)
    placement.place()
    return calculation.runs.get()


def test_the_agent_is_put_there_and_heard(heard: SshAccess, work: Path) -> None:
    heard.cluster.refresh_from_db()
    assert heard.cluster.offers("courier")
    assert heard.cluster.slots_total == 2
    assert (work / "labportal-agent.pyz").stat().st_mode & 0o077 == 0
    session = SshSession.objects.get()
    assert (session.exchanges >= 1, session.code) == (True, "")


def test_a_run_is_executed_and_closed_within_one_visit(ada: Any, heard: SshAccess) -> None:
    run = run_of(ada)
    visits.exchange(heard.cluster_id)
    run.refresh_from_db()
    assert run.state == "valid"
