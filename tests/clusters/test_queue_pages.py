"""Licences, shares of projects, caps and prices: set on pages and over the interface, on record."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from calculations.models import Run
from clusters import placement
from clusters.models import Cluster, Licence
from labportal.accounts.models import Project
from labportal.audit.models import AuditEntry
from tests.calculations.factories import submitted
from tests.clusters.factories import cluster
from tests.clusters.test_storage import api, signed_in
from tests.factories import ProjectFactory, default_project

pytestmark = pytest.mark.django_db


def verbs() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True))


def test_an_admin_adds_changes_and_removes_licences(root: Any, ada: Any) -> None:
    client = signed_in(root)
    client.post("/licences/", {"name": "matlab", "seats": "2"})
    licence = Licence.objects.get(name="matlab")
    client.post(f"/licences/{licence.pk}/", {"seats": "5"})
    licence.refresh_from_db()
    assert licence.seats == 5
    cluster()
    submitted(ada, licences=["matlab:3"])
    placement.place()
    page = signed_in(ada).get("/licences/").content.decode()
    assert "matlab" in page and "Count it" not in page
    assert api(ada).get("/api/v1/licences/").json() == [
        {"id": licence.pk, "name": "matlab", "seats": 5, "taken": 3}
    ]
    client.post(f"/licences/{licence.pk}/delete/")
    assert not Licence.objects.exists()
    assert [v for v in verbs() if v.startswith("licence")] == [
        "licence.add",
        "licence.change",
        "licence.remove",
    ]


@pytest.mark.parametrize(
    ("name", "seats", "field"),
    [
        ("matlab", "1", "name"),
        ("two words", "1", "name"),
        ("a:1", "1", "name"),
        ("", "1", "name"),
        ("x", "0", "seats"),
        ("x", "many", "seats"),
    ],
)
def test_a_wrong_licence_is_refused_beside_its_field(
    root: Any, name: str, seats: str, field: str
) -> None:
    Licence.objects.create(name="matlab", seats=1)
    page = signed_in(root).post("/licences/", {"name": name, "seats": seats})
    assert page.status_code == 400
    assert field in page.context["form"].errors
    answer = api(root).post("/api/v1/licences/", {"name": name, "seats": seats}, format="json")
    assert answer.status_code == 400
    assert field in answer.json()["errors"]
    assert Licence.objects.count() == 1


def test_licences_over_the_interface(root: Any, ada: Any) -> None:
    made = api(root).post("/api/v1/licences/", {"name": "vasp", "seats": 1}, format="json")
    address = f"/api/v1/licences/{made.json()['id']}/"
    assert made.status_code == 201
    assert api(root).patch(address, {"seats": 4}, format="json").json()["seats"] == 4
    assert api(ada).patch(address, {"seats": 9}, format="json").status_code == 403
    assert api(ada).delete(address).status_code == 403
    assert api(root).delete(address).status_code == 204
    assert api(root).get(address).status_code == 404


def test_shares_of_a_project_decide_who_is_due(root: Any, max: Any, ada: Any) -> None:
    project = ProjectFactory(name="Favoured", slug="favoured")
    address = "/fair-share/projects/favoured/"
    signed_in(root).post(address, {"shares": "3"})
    project.refresh_from_db()
    assert project.shares == 3
    signed_in(root).post(address, {"shares": "0"})
    assert signed_in(max).post(address, {"shares": "9"}).status_code == 403
    assert Project.objects.get(slug="favoured").shares == 3
    path = "/api/v1/fair-share/projects/favoured/"
    assert api(root).patch(path, {"shares": 0}, format="json").status_code == 400
    assert api(root).patch(path, {"shares": 4}, format="json").json() == {"shares": 4}
    assert verbs().count("project.shares") == 2
    submitted(ada, project=project)
    submitted(ada, project=default_project())
    found = {
        p["project"]: p["due"] for p in api(root).get("/api/v1/fair-share/").json()["projects"]
    }
    assert found == {"favoured": 0.8, default_project().slug: 0.2}


def test_caps_and_prices_stand_in_the_form_of_a_cluster(root: Any) -> None:
    site = cluster(max_runs=7)
    client = signed_in(root)
    page = client.get("/clusters/metis/edit/").content.decode()
    assert "Price of a core-hour" in page
    values = {"description": "x", "max_runs": "7", "max_runs_per_user": "2"}
    client.post("/clusters/metis/edit/", {**values, "price_core_hour": "0.0125"})
    site.refresh_from_db()
    assert (site.max_runs_per_user, site.price_core_hour) == (2, Decimal("0.0125"))
    bad = client.post("/clusters/metis/edit/", {**values, "price_gpu_hour": "-1"})
    assert bad.status_code == 400
    entry = AuditEntry.objects.get(verb="cluster.edit")
    assert entry.detail["price_core_hour"] == [None, "0.0125"]
    address = "/api/v1/clusters/metis/"
    answer = api(root).patch(address, {"max_runs_per_project": 3}, format="json").json()
    assert (answer["max_runs"], answer["max_runs_per_project"]) == (7, 3)
    assert answer["price_core_hour"] == "0.0125"
    wrong = api(root).patch(address, {"max_runs_per_user": 0}, format="json")
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["max_runs_per_user"])


def test_the_reason_stands_on_the_page_in_the_list_and_in_the_interface(ada: Any) -> None:
    Cluster.objects.all().delete()
    site = cluster(slots=1)
    submitted(ada, name="first")
    second = submitted(ada, name="second")
    placement.place()
    words = "Waits for a free slot on metis; 1 run is there"
    client = signed_in(ada)
    assert words in client.get(f"/calculations/{second.pk}/").content.decode()
    assert words in client.get("/calculations/?state=queued").content.decode()
    assert words in client.get("/").content.decode()
    assert words in client.get(site.get_absolute_url()).content.decode()
    document = api(ada).get(f"/api/v1/calculations/{second.pk}/").json()
    assert (document["waits_for"], document["runs"][0]["waits_for"]) == (words, words)
    Run.objects.filter(calculation=second).update(state="assigned", waits_for="")
    Run.objects.filter(calculation=second).update(
        pending={"reason": "Priority", "text": "behind other jobs", "partition": "long"}
    )
    told = api(ada).get(f"/api/v1/calculations/{second.pk}/").json()["waits_for"]
    assert told == "Waits in the cluster's own queue in long: behind other jobs"
