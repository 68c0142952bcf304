"""What fills the disks, and the deletion of raw files by hand, on pages and in the interface."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from calculations.models import Calculation, OutputFile, Run
from clusters.models import Purge
from clusters.selectors import storage as selectors
from labportal.accounts.models import Project, User
from labportal.common.clock import now
from tests.calculations.factories import submitted
from tests.calculations.standings import valid
from tests.clusters.factories import Agent, cluster
from tests.factories import ProjectFactory, default_project

GB = 10**9


@pytest.fixture
def agent(root: User) -> Agent:
    agent = Agent(cluster("metis", slots=8), root)
    agent.exchange()
    return agent


def taking(agent: Agent, actor: User, size: int, **wishes: Any) -> Calculation:
    calculation = valid(agent, actor, **wishes)
    Run.objects.filter(calculation=calculation).update(disk_bytes=size)
    return calculation


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def api(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def test_each_byte_is_counted_for_its_cluster_project_and_person(
    agent: Agent, ada: User, eve: User
) -> None:
    project = ProjectFactory(name="Water", retention_days=1)
    taking(agent, ada, 3 * GB, project=project)
    kept = taking(agent, eve, 2 * GB, keep_files=True)
    run = kept.runs.get()
    OutputFile.objects.create(run=run, attempt=1, name="a", size=500, sha256="0" * 64, key="k")
    found = selectors.overview()
    (metis,) = found.clusters
    assert (metis.on_clusters, metis.runs, metis.soon, metis.kept) == (5 * GB, 2, 3 * GB, 2 * GB)
    assert {row.name: (row.on_clusters, row.in_store) for row in found.projects} == {
        "Water": (3 * GB, 0),
        default_project().name: (2 * GB, 500),
    }
    assert [row.address for row in found.people] == ["ada", "eve"]
    assert [c.bytes for c in found.largest] == [3 * GB, 2 * GB]
    assert found.totals.total == 5 * GB + 500


def test_the_page_asks_as_often_for_many_as_for_few(
    agent: Agent, ada: User, root: User, django_assert_max_num_queries: Any
) -> None:
    client = signed_in(root)
    taking(agent, ada, GB)
    client.get("/storage/")
    with django_assert_max_num_queries(32) as few:
        client.get("/storage/")
    for number in range(4):
        taking(agent, ada, GB, project=ProjectFactory())
        Run.objects.update(purge_held=f"differs {number}")
    with django_assert_max_num_queries(len(few)):
        page = client.get("/storage/").content.decode()
    assert "differs 3" in page


def test_it_is_for_moderators_and_admins(ada: User, max: User) -> None:
    assert signed_in(ada).get("/storage/").status_code == 403
    assert signed_in(max).get("/storage/").status_code == 200
    assert api(ada).get("/api/v1/storage").status_code == 403
    assert api(max).get("/api/v1/storage").json()["totals"]["on_clusters"] == 0


def test_own_use_stands_in_the_profile_and_a_project_s_on_its_page(agent: Agent, ada: User) -> None:
    project = ProjectFactory(slug="water", retention_days=3)
    taking(agent, ada, 3 * GB, project=project)
    client = signed_in(ada)
    assert "3.0 GB" in client.get("/profile/").content.decode()
    page = client.get("/projects/water/").content.decode()
    assert "3.0 GB" in page
    assert "3 days after the end" in page
    assert "3.0 GB" in client.get("/clusters/metis/").content.decode()


def test_the_files_tab_says_what_is_there_until_when(agent: Agent, ada: User) -> None:
    calculation = taking(agent, ada, 3 * GB)
    page = signed_in(ada).get(f"/calculations/{calculation.pk}/files/").content.decode()
    assert "3.0 GB of 1 run" in page
    assert "Delete now" in page
    assert "To keep them costs 3.0 GB" in page


def test_to_keep_them_says_what_it_costs(agent: Agent, ada: User) -> None:
    calculation = taking(agent, ada, 3 * GB)
    client = signed_in(ada)
    address = f"/calculations/{calculation.pk}/"
    client.post(f"{address}keep-files/", {"keep": "1", "next": f"{address}files/"})
    page = client.get(f"{address}files/").content.decode()
    assert "costs 3.0 GB" in page
    assert "Delete now" not in page


def test_by_hand_from_the_page(agent: Agent, ada: User) -> None:
    calculation = taking(agent, ada, 3 * GB)
    client = signed_in(ada)
    client.post(f"/storage/calculations/{calculation.pk}/purge/")
    assert Purge.objects.get().wanted_by == ada
    page = client.get(f"/calculations/{calculation.pk}/files/").content.decode()
    assert "their deletion is ordered" in page
    client.post(f"/storage/calculations/{calculation.pk}/purge/")
    assert Purge.objects.count() == 1


def test_a_tombstone_stands_on_the_files_tab_and_in_the_interface(agent: Agent, ada: User) -> None:
    calculation = taking(agent, ada, 3 * GB)
    files = [{"attempt": 1, "name": "big.wfc", "size": 1_200_000_000, "sha256": "ab" * 32}]
    Purge.objects.create(
        cluster=agent.cluster,
        run=calculation.runs.get(),
        attempt=1,
        done_at=now(),
        freed_bytes=1_200_000_000,
        files=files,
        file_count=14,
        file_bytes=1_200_000_000,
    )
    page = signed_in(ada).get(f"/calculations/{calculation.pk}/files/").content.decode()
    assert "1.2 GB in 14 files" in page
    assert "big.wfc" in page
    (told,) = api(ada).get(f"/api/v1/calculations/{calculation.pk}/raw-files").json()
    assert told["files"] == files
    assert told["file_count"] == 14


def test_what_is_wrong_at_this_moment_is_said(agent: Agent, ada: User) -> None:
    calculation = submitted(ada)
    answer = api(ada).post(f"/api/v1/calculations/{calculation.pk}/raw-files")
    assert answer.status_code == 409
    assert "has not ended" in answer.json()["detail"]


def test_a_manager_sets_and_clears_the_rule_of_a_project(ada: User) -> None:
    client = api(ada)
    made = client.post("/api/v1/projects/", {"name": "Water", "retention_days": 5}).json()
    assert made["retention_days"] == 5
    address = f"/api/v1/projects/{made['id']}/"
    client.patch(address, {"description": "x"}, format="json")
    assert Project.objects.get(pk=made["id"]).retention_days == 5
    client.patch(address, {"retention_days": None}, format="json")
    assert Project.objects.get(pk=made["id"]).retention_days is None
    assert client.patch(address, {"retention_days": -1}, format="json").status_code == 400
    page = signed_in(ada)
    fields = {"name": "Water", "description": "", "retention_days": "7"}
    page.post(f"/projects/{made['slug']}/edit/", fields)
    assert Project.objects.get(pk=made["id"]).retention_days == 7
