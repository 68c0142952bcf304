"""Health checks: what is found, and a remedy wherever something is wrong. Silence is told once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from clusters import keys
from clusters.agent import __version__
from clusters.models import SILENT_AFTER, ApiKey, Cluster
from clusters.selectors.health import Check, checks
from clusters.selectors.machine import machine_of
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
    assert {"Agent", "Key", "Clock", "Disk", "Version", "Scheduler"} <= set(rows)
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


def test_a_scheduler_that_does_not_answer_says_since_when(root: Any) -> None:
    told = {"kind": "slurm", "version": "22.05.8", "answers": False, "problem": "timed out"}
    capacity = {"scheduler": {**told, "since": "2026-11-21T10:00:00Z"}}
    row = found(healthy(root, capacity=capacity))["Scheduler"]
    assert row.state == "failed" and "sinfo" in row.remedy
    assert "Slurm 22.05.8: timed out" in row.found and row.when.hour == 10


def test_what_a_scheduler_and_gpus_tell_is_listed(root: Any) -> None:
    limits = {
        "partitions": [
            {"name": "long", "default": True, "max_walltime_s": 86400, "cores_per_node": 64},
            {"name": "debug", "memory_per_node_mib": 2048},
            "nonsense",
        ],
        "accounts": ["physics"],
    }
    gpus = [{"index": 0, "name": "H200", "memory_mib": 143771, "free_memory_mib": 1, "busy": True}]
    site = healthy(root, capacity={"scheduler": {"kind": "slurm", "limits": limits}, "gpus": gpus})
    machine = machine_of(site)
    assert [one.name for one in machine.partitions] == ["long", "debug"]
    assert machine.partitions[1].memory_per_node_gib == 2.0 and machine.accounts == "physics"
    assert found(site)["GPUs"].found == "1, 1 busy: H200"
    page = Client()
    page.force_login(root)
    text = page.get("/clusters/metis/health/").content.decode()
    for words in ("long", "1 d 00 h", "H200", "Busy", "physics"):
        assert words in text


@pytest.mark.parametrize("told", [7, [], {"limits": 3}, {"limits": {"partitions": [{}]}}])
def test_what_an_agent_tells_wrongly_of_its_scheduler_breaks_no_page(root: Any, told: Any) -> None:
    site = healthy(root, capacity={"scheduler": told, "gpus": [{}, 1], "update": 5})
    assert found(site) and machine_of(site)


@pytest.mark.parametrize(
    ("fields", "label", "ask"),
    [
        ({"held_at": now(), "held_reason": "5 lost"}, "Held", "release"),
        ({"lost_in_a_row": 5}, "On trial", ""),
        ({"lost_in_a_row": 2}, "Lost", ""),
    ],
)
def test_the_circuit_breaker_is_a_check(
    root: Any, fields: dict[str, Any], label: str, ask: str
) -> None:
    row = found(healthy(root, **fields))["Runs"]
    assert (row.label, row.ask) == (label, ask)


def test_an_agent_is_updated_by_one_click_where_it_can_be(root: Any) -> None:
    capacity = {"file_sha256": "0" * 64}
    site = healthy(root, agent_version="0.0.1", capacity=capacity)
    assert found(site)["Version"].ask == "update-agent"
    page = Client()
    page.force_login(root)
    assert "Update it…" in page.get("/clusters/metis/health/").content.decode()
    page.post("/clusters/metis/update-agent/")
    site.refresh_from_db()
    assert found(site)["Version"].label == "Changing"
    told = {"asked": site.update_wanted_at.isoformat(), "problem": "no room"}
    site.update_wanted, site.capacity = "", {**capacity, "update": told}
    assert "no room" in found(site)["Version"].found


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
