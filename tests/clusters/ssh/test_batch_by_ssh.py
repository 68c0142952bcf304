"""A batch scheduler behind a sign-in: jobs wait and run while nothing of the agent is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters import placement
from clusters.models import SshAccess
from clusters.rehearsal.site import Site
from clusters.services import ssh
from clusters.transports.ssh import visits
from tests.calculations.factories import submitted
from tests.clusters.ssh.test_trial import tried

pytestmark = [pytest.mark.ssh, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=["slurm", "pbs"])
def fake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site", kind=request.param)
    yield site
    site.close()


def test_a_job_ends_between_two_visits(
    ada: Any, root: Any, site: SshAccess, fake: Site, work: Path
) -> None:
    options = f"[agent]\nminimum_free_mib = 1\n[scheduler]\npath = {fake.programs}\npoll_s = 2\n"
    ssh.set_up(site.cluster, scheduler=fake.kind, agent_settings=options, actor=root)
    visits.exchange(site.cluster_id)
    site.cluster.refresh_from_db()
    assert site.cluster.capacity["scheduler"]["kind"] == fake.kind
    script = f"while [ ! -e '{work}/go' ]; do sleep 0.05; done; echo done"
    calculation = submitted(ada, software="courier", parameters={"script": script})
    placement.place()
    visits.exchange(site.cluster_id)
    run = calculation.runs.get()
    assert run.scheduler_id or run.state == "assigned"
    jobs = fake.jobs()
    assert len(jobs) == 1
    (work / "go").touch()
    fake.until(lambda jobs: all(job.ended for job in jobs))
    for _ in range(3):
        visits.exchange(site.cluster_id)
        run.refresh_from_db()
        if run.state == "valid":
            break
    assert run.state == "valid"
    assert len(fake.jobs()) == 1


def test_the_button_says_that_the_scheduler_lacks_the_partition(
    root: Any, site: SshAccess, fake: Site
) -> None:
    name = "queue" if fake.kind == "pbs" else "partition"
    for wanted, good in (("nowhere", 6), ("long", 7)):
        options = f"[scheduler]\npath = {fake.programs}\n{name} = {wanted}\n"
        ssh.set_up(site.cluster, scheduler=fake.kind, agent_settings=options, actor=root)
        site.refresh_from_db()
        found, words = tried(site)
        assert found == good, words
        if good == 6:
            assert "nowhere takes no jobs here; there are debug, long" in words
            assert "Correct partition, or queue" in words
