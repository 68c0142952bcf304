"""The button “Test” against a real SSH server: how far it comes, and what it says then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clusters.models import SshAccess, SshSession
from clusters.services import ssh
from clusters.transports.ssh import budget, trial, visits
from clusters.transports.ssh.troubles import from_ssh
from tests.clusters.ssh.sshd import Sshd

pytestmark = [pytest.mark.ssh, pytest.mark.django_db(transaction=True)]


def tried(access: SshAccess) -> tuple[int, str]:
    """Return how many steps went well, and what the first bad one says."""
    session = budget.claim(access, SshSession.Kind.TEST)
    trial.run(session)
    session.refresh_from_db()
    good = [step for step in session.steps if step["ok"]]
    bad = [step for step in session.steps if not step["ok"]]
    assert session.ended_at is not None
    assert bool(session.code) == bool(bad)
    return len(good), f"{bad[0]['found']} {bad[0]['remedy']}" if bad else ""


def test_all_steps_go_well(site: SshAccess, work: Path) -> None:
    assert tried(site) == (7, "")
    assert (work / "agent.ini").stat().st_mode & 0o777 == 0o600
    steps = SshSession.objects.first().steps
    assert steps[5]["found"] == "put in its place"
    assert tried(site) == (7, "")
    assert SshSession.objects.first().steps[5]["found"].startswith("in its place")


@pytest.mark.parametrize(
    ("changes", "good", "words"),
    [
        ({"port": 1}, 0, "Nothing answers at 127.0.0.1, port 1"),
        ({"host": "nowhere.invalid"}, 0, "The host's name is not known"),
        ({"host_keys": ""}, 1, "not confirmed yet"),
        ({"user": "nobody-here"}, 2, "did not accept the key for this user"),
        ({"python": "python3.99"}, 3, "python3.99 is not found over there"),
        ({"python": "/bin/cat"}, 3, "The look at the site failed"),
        ({"work": "/proc/lab"}, 3, "The work folder cannot be written"),
        ({"scheduler": "slurm", "agent_settings": "[scheduler]\npath = /nowhere\n"}, 6, "slurm"),
    ],
)
def test_each_failure_has_its_own_words(
    site: SshAccess, changes: dict[str, Any], good: int, words: str, monkeypatch: Any
) -> None:
    if changes.get("scheduler"):  # whatever is installed here
        changes = {**changes, "agent_settings": "[agent]\nslots = 1\n"}
        monkeypatch.setattr(
            "clusters.transports.ssh.installation.check",
            lambda *_, **__: ["MISSING scheduler: sinfo is not installed here"],
        )
    SshAccess.objects.update(**changes)
    site.refresh_from_db()
    found = tried(site)
    assert found[0] == good
    assert words in found[1]


def test_an_old_python_is_told_from_none(site: SshAccess, tmp_path: Path) -> None:
    old = tmp_path / "python3.6"
    old.write_text("#!/bin/sh\necho '#labportal-look {\"python\": [3, 6, 8]}'\n")
    old.chmod(0o755)
    SshAccess.objects.update(python=str(old))
    site.refresh_from_db()
    assert "is Python 3.6.8; the agent needs 3.9 or later" in tried(site)[1]


def test_a_work_folder_that_is_a_link_is_named(site: SshAccess, work: Path) -> None:
    (work.parent / "elsewhere").mkdir()
    work.symlink_to(work.parent / "elsewhere")
    good, words = tried(site)
    assert good == 3
    assert "is a link to" in words
    assert list((work.parent / "elsewhere").iterdir()) == []


def test_a_host_without_sftp_is_told(site: SshAccess, sshd: Sshd, work: Path) -> None:
    sshd.stop()
    sshd.start(sftp=False)
    good, words = tried(site)
    assert good == 5
    assert "offers no sftp" in words


def test_another_host_key_is_noticed(site: SshAccess, sshd: Sshd) -> None:
    sshd.stop()
    sshd.start(host_key="other_host_key")
    good, words = tried(site)
    assert good == 1
    assert "other keys than those that were confirmed" in words
    assert sshd.sign_ins() == 0


def test_what_was_mended_is_tried_at_once(site: SshAccess) -> None:
    for _ in range(5):
        budget.failed(site.cluster_id, from_ssh("connection refused"))
    assert tried(site) == (7, "")
    site.refresh_from_db()
    assert (site.held_at, site.failures) == (None, 0)


def test_scanning_offers_the_keys(site: SshAccess, root: Any) -> None:
    SshAccess.objects.update(offered_host_keys="")
    visits.scan(budget.claim(site, SshSession.Kind.SCAN))
    site.refresh_from_db()
    assert site.offered_host_keys == site.host_keys
    ssh.confirm_host_keys(site.cluster, fingerprints=[ssh.fingerprint(site.host_keys)], actor=root)
