"""Arranges a cluster that the portal signs in to: a real SSH server, a work folder, known keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calculations.software.registry import all_software
from clusters.agent_file import build
from clusters.models import Cluster, SshAccess
from clusters.services import ssh
from clusters.transports.ssh import installation, serving, visits
from clusters.transports.ssh.connection import Connection, Site, ask_for_keys
from tests.clusters.ssh.sshd import Sshd

SOFTWARE = "noop=bench.noop:Noop,courier=tests.clusters.ssh.program:Courier"


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def sshd(_server: Sshd) -> Iterator[Sshd]:
    """One server for the session; each test finds it running as it should."""
    (_server.folder / "log").write_text("")
    yield _server.start()
    _server.stop()


@pytest.fixture(scope="session")
def _agent_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An agent that knows the program of these tests."""
    path = tmp_path_factory.mktemp("agent") / installation.AGENT
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LABPORTAL_SOFTWARE", SOFTWARE)
        return path, build(path)


@pytest.fixture
def _courier(monkeypatch: pytest.MonkeyPatch, _agent_file: tuple[Path, str]) -> Iterator[None]:
    """Let the portal know that program too, and wait for less between two visits."""
    monkeypatch.setenv("LABPORTAL_SOFTWARE", SOFTWARE)
    monkeypatch.setattr(installation, "agent_file", lambda: _agent_file)
    monkeypatch.setattr(serving, "LINGER_S", 0.3)
    all_software.cache_clear()
    yield
    monkeypatch.undo()
    all_software.cache_clear()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "wörk of lab"


@pytest.fixture
def site(sshd: Sshd, work: Path, root: Any, _courier: None) -> Iterator[SshAccess]:
    """A cluster whose host keys are confirmed and whose key is let in."""
    cluster = Cluster.objects.create(name="hpc", carrier=Cluster.Carrier.SSH)
    access = ssh.set_up(
        cluster,
        host="127.0.0.1",
        port=sshd.port,
        user=sshd.user,
        work=str(work),
        agent_settings="[agent]\nslots = 2\nminimum_free_mib = 1\n",
        most_per_minute=60,
        actor=root,
    )
    sshd.allow(f"restrict {access.public_key}")
    keys = ask_for_keys("127.0.0.1", sshd.port)
    SshAccess.objects.filter(pk=access.pk).update(offered_host_keys="\n".join(keys))
    ssh.confirm_host_keys(cluster, fingerprints=[ssh.fingerprint(k) for k in keys], actor=root)
    access.refresh_from_db()
    yield access
    access.refresh_from_db()
    if access.host_keys and access.sealed_key:
        Connection(Site.of(access)).close()


@pytest.fixture
def heard(site: SshAccess) -> SshAccess:
    """The agent is in its place and has told what it offers."""
    visits.exchange(site.cluster_id)
    site.refresh_from_db()
    assert site.last_error == ""
    return site
