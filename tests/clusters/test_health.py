"""Health checks: what is found, and a remedy wherever something is wrong. Silence is told once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clusters import keys
from clusters.agent import __version__
from clusters.models import SILENT_AFTER, ApiKey, Cluster
from clusters.selectors.health import Check, checks
from clusters.silence import announce_silence
from labportal.common.clock import now
from labportal.notifications.models import Notification
from tests.clusters.factories import cluster

DAY = timedelta(days=1)
GIB = 1024


def found(site: Cluster) -> dict[str, Check]:
    return {check.name: check for check in checks(site, list(site.api_keys.all()))}


def healthy(root: Any, **fields: Any) -> Cluster:
    capacity = {
        "slots": {"total": 2},
        "disk_free_mib": 100 * GIB,
        "software": {"noop": {"version": "1", "ok": True, "problem": ""}},
    }
    fields = {"agent_version": __version__, "clock_skew_s": 0.2, "capacity": capacity, **fields}
    site = cluster("metis", **fields)
    keys.issue(site, actor=root)
    return site


def test_a_healthy_cluster_needs_no_remedy(root: Any) -> None:
    rows = found(healthy(root))
    assert {"Agent", "Key", "Clock", "Disk", "Version"} <= set(rows)
    assert {row.state for row in rows.values()} == {"ok"}
    assert not any(row.remedy for row in rows.values())


@pytest.mark.parametrize(
    ("fields", "name", "state"),
    [
        ({"last_exchange_at": now() - timedelta(minutes=6)}, "Agent", "failed"),
        ({"last_exchange_at": None}, "Agent", "draft"),
        ({"clock_skew_s": -8.0}, "Clock", "not_valid"),
        ({"clock_skew_s": 3600.0}, "Clock", "failed"),
        ({"capacity": {"disk_free_mib": 5 * GIB}}, "Disk", "not_valid"),
        ({"capacity": {"disk_free_mib": 100}}, "Disk", "failed"),
        ({"capacity": {"disk_free_mib": 5 * GIB}}, "Software", "failed"),
        ({"agent_version": "0.0.1"}, "Version", "not_valid"),
    ],
)
def test_what_is_wrong_has_a_remedy(
    root: Any, fields: dict[str, Any], name: str, state: str
) -> None:
    row = found(healthy(root, **fields))[name]
    assert row.state == state and row.remedy


def test_a_program_that_cannot_be_used_says_why(root: Any) -> None:
    software = {
        "siesta": {"version": "", "ok": False, "problem": "no pseudopotentials in /opt/psml"},
        "pyscf": {"version": "", "ok": False, "problem": "not found on this machine"},
        "noop": {"version": "1", "ok": True, "problem": ""},
    }
    rows = found(healthy(root, capacity={"software": software}))
    assert rows["SIESTA"].found == "no pseudopotentials in /opt/psml"
    assert rows["Other programs"].found == "PySCF"


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"created_at": now() - 200 * DAY}, "not_valid"),
        ({"expires_at": now() + 5 * DAY}, "not_valid"),
        ({"expires_at": now() - DAY}, "failed"),
        ({"revoked_at": now()}, "failed"),
    ],
)
def test_a_key_is_renewed_in_time(root: Any, fields: dict[str, Any], state: str) -> None:
    site = healthy(root)
    ApiKey.objects.update(**fields)
    row = found(site)["Key"]
    assert row.state == state and row.remedy


def test_silence_is_told_to_admins_once(root: Any, ada: Any, max: Any) -> None:
    site = cluster("metis")
    assert announce_silence() == 0
    Cluster.objects.update(last_exchange_at=now() - SILENT_AFTER - timedelta(seconds=5))
    assert announce_silence() == 1
    assert announce_silence() == 0
    notification = Notification.objects.get()
    assert notification.user == root
    assert "metis" in notification.subject and notification.url == site.get_absolute_url()


@pytest.mark.parametrize(
    "fields",
    [
        {"enabled": False},
        {"last_exchange_at": None},
        {"last_exchange_at": now() - timedelta(hours=5)},
    ],
)
def test_rest_novelty_and_old_silence_are_not_news(root: Any, fields: dict[str, Any]) -> None:
    silent = {"last_exchange_at": now() - SILENT_AFTER - timedelta(seconds=5)}
    cluster("metis", **{**silent, **fields})
    assert announce_silence() == 0
    assert not Notification.objects.exists()
