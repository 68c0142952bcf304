"""Announcements: on top of every page from a time until a time, until one puts them away."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from labportal.audit.models import AuditEntry
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotAllowed
from labportal.notifications import announcements as services
from labportal.notifications.models import Announcement
from tests.calculations.test_pages import as_person, page, post
from tests.clusters.factories import cluster

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def told(text: str = "Metis rests.", **fields: Any) -> Announcement:
    row = Announcement.objects.create(text=text, **fields)
    cache.clear()
    return row


@pytest.mark.parametrize("name", ["dashboard", "calculation-list", "profile", "cluster-list"])
def test_it_stands_on_every_page(ada: Any, client: Client, name: str) -> None:
    told("Metis <b>rests</b>, see https://lab.example/.")
    text = page(as_person(ada), name)
    assert "Metis &lt;b&gt;rests&lt;/b&gt;" in text and 'href="https://lab.example/"' in text
    assert "Metis" not in client.get(reverse("sign-in")).content.decode()


def test_who_puts_it_away_sees_the_next_one_and_others_see_it(ada: Any, max: Any) -> None:
    row = told()
    browser = as_person(ada)
    answer = browser.post(
        reverse("announcement-away", args=[row.pk]), {"next": reverse("profile")}, follow=True
    )
    assert answer.redirect_chain[-1][0] == reverse("profile")
    assert "Metis rests." not in page(browser, "calculation-list")
    assert "Metis rests." not in page(as_person(ada), "calculation-list"), "in another browser too"
    assert "Metis rests." in page(as_person(max), "calculation-list")
    told("Metis is back.")
    assert "Metis is back." in page(browser, "calculation-list")


def test_a_foreign_address_is_not_gone_to(ada: Any) -> None:
    row = told()
    answer = as_person(ada).post(
        reverse("announcement-away", args=[row.pk]), {"next": "//evil.example/"}
    )
    assert answer["Location"] == reverse("dashboard")


@pytest.mark.parametrize(
    ("begins", "ends", "shown"),
    [(-HOUR, None, True), (-HOUR, HOUR, True), (HOUR, None, False), (-2 * HOUR, -HOUR, False)],
)
def test_it_is_shown_from_a_time_until_a_time(
    ada: Any, begins: timedelta, ends: timedelta | None, shown: bool
) -> None:
    told(from_at=now() + begins, until_at=now() + ends if ends else None)
    assert ("Metis rests." in page(as_person(ada), "profile")) is shown
    assert services.announcements(ada).exists() is shown


def test_it_comes_on_by_itself_while_it_is_cached(ada: Any, monkeypatch: Any) -> None:
    told(from_at=now() + HOUR)
    assert services.current() == []
    later = now() + 2 * HOUR
    monkeypatch.setattr(services, "now", lambda: later)
    assert [one.text for one in services.current()] == ["Metis rests."]


def test_what_limits_people_comes_first_and_the_rest_is_counted(ada: Any) -> None:
    told("No GPUs today.", level="warning", from_at=now() - HOUR)
    told("A new cluster.")
    text = page(as_person(ada), "profile")
    assert "No GPUs today." in text and "and 1 more" in text and "A new cluster." not in text


def test_one_about_a_cluster_leads_there(ada: Any) -> None:
    site = cluster("metis")
    told("rests on Friday", cluster=site)
    assert f'href="{site.get_absolute_url()}">metis</a>: rests on Friday' in page(
        as_person(ada), "profile"
    )


def test_a_page_without_one_asks_the_database_for_none(
    ada: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    services.unread(ada)
    with django_assert_num_queries(0):
        assert services.unread(ada) == []


def test_however_many_there_are_a_page_asks_once(
    ada: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        told()
    services.unread(ada)
    with django_assert_num_queries(1):
        assert len(services.unread(ada)) == 5


def test_an_admin_announces_edits_and_ends_on_record(
    root: Any, ada: Any, django_capture_on_commit_callbacks: Any
) -> None:
    browser = as_person(root)
    with django_capture_on_commit_callbacks(execute=True):
        post(browser, "announcement-list", text=" Metis rests. ", level="info")
    row = Announcement.objects.get()
    assert (row.text, row.author) == ("Metis rests.", root)
    assert "Metis rests." in page(as_person(ada), "profile"), "at once"
    services.put_away(row, actor=ada)
    with django_capture_on_commit_callbacks(execute=True):
        address = reverse("announcement-edit", args=[row.pk])
        browser.post(address, {"text": "Metis rests longer.", "level": "warning"})
    assert "Metis rests longer." in page(as_person(ada), "profile"), "another text"
    with django_capture_on_commit_callbacks(execute=True):
        browser.post(reverse("announcement-end", args=[row.pk]))
    assert "Metis rests" not in page(as_person(ada), "profile")
    verbs = AuditEntry.objects.filter(verb__startswith="announcement").order_by("pk")
    assert list(verbs.values_list("verb", flat=True)) == [
        "announcement.make",
        "announcement.edit",
        "announcement.end",
    ]


def test_a_new_time_alone_does_not_bring_back_what_was_put_away(ada: Any, root: Any) -> None:
    row = told()
    services.put_away(row, actor=ada)
    services.edit(row, {"until_at": now() + HOUR}, actor=root)
    assert list(row.put_away_by.all()) == [ada]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"text": "  "}, "text"),
        ({"text": "x" * 501}, "text"),
        ({"text": "x", "level": "loud"}, "level"),
        ({"text": "x", "until_at": now() - HOUR}, "until_at"),
    ],
)
def test_what_makes_no_sense_is_refused_beside_its_field(
    root: Any, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        services.announce(values, actor=root)
    assert field in refusal.value.errors
    answer = as_person(root).post(reverse("announcement-list"), {"level": "info", **values})
    assert answer.status_code == 400 and field in answer.context["form"].errors


def test_only_admins_announce(ada: Any, max: Any) -> None:
    row = told()
    for person in (ada, max):
        for deed in (
            lambda actor=person: services.announce({"text": "x"}, actor=actor),
            lambda actor=person: services.edit(row, {"text": "x"}, actor=actor),
            lambda actor=person: services.end(row, actor=actor),
        ):
            with pytest.raises(NotAllowed):
                deed()


def test_programs_read_and_admins_write(ada: Any, root: Any) -> None:
    cluster("metis")
    admin, person = APIClient(), APIClient()
    admin.force_authenticate(root)
    person.force_authenticate(ada)
    made = admin.post("/api/v1/announcements", {"text": "rests", "cluster": "metis"}, format="json")
    assert made.status_code == 201 and made.json()["cluster"] == "metis"
    address = f"/api/v1/announcements/{made.json()['id']}"
    rows = person.get("/api/v1/announcements").json()["results"]
    assert [row["text"] for row in rows] == ["rests"]
    assert person.post(f"{address}/away").status_code == 204
    assert person.patch(address, {"text": "x"}, format="json").status_code == 403
    assert admin.patch(address, {"level": "warning"}, format="json").json()["level"] == "warning"
    assert admin.post(f"{address}/end").status_code == 200
    assert person.get("/api/v1/announcements").json()["results"] == []
    assert admin.get("/api/v1/announcements?current=true").json()["results"] == []
    assert len(admin.get("/api/v1/announcements").json()["results"]) == 1
    wrong = admin.post("/api/v1/announcements", {"text": "x", "cluster": "none"}, format="json")
    assert wrong.status_code == 400 and "cluster" in wrong.json()["errors"]


@pytest.mark.parametrize(("text", "kept"), [(" Metis rests. ", ["Metis rests."]), ("", [])])
def test_the_one_line_of_earlier_versions_is_kept(text: str, kept: list[str]) -> None:
    migration = import_module("calculations.migrations.0020_move_announcement")
    lab = SimpleNamespace(objects=SimpleNamespace(first=lambda: SimpleNamespace(announcement=text)))
    registry = {"LabSettings": lab, "Announcement": Announcement}
    known = SimpleNamespace(get_model=lambda _, name: registry[name])
    migration.move(known, None)
    assert list(Announcement.objects.values_list("text", flat=True)) == kept
