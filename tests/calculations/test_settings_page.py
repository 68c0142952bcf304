"""The page of settings: changed on record; what the lab announces stands on every page."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from calculations.models import LabSettings
from calculations.services import lab
from tests.calculations.test_pages import as_person, page, post

pytestmark = pytest.mark.django_db


def test_an_admin_changes_the_settings_on_record(root: Any) -> None:
    from labportal.audit.models import AuditEntry

    values = {
        "auto_approve_core_hours": "2.5",
        "retention_days": "7",
        "log_retention_days": "30",
        "announcement": "Metis rests on Friday.",
    }
    post(as_person(root), "lab-settings", **values)
    assert LabSettings.current().auto_approve_core_hours == 2.5
    assert AuditEntry.objects.filter(verb="settings.change").exists()
    assert "Metis rests on Friday." in page(as_person(root), "dashboard")


def test_wrong_settings_are_refused_beside_the_field(root: Any) -> None:
    values = {"auto_approve_core_hours": "-1", "retention_days": "7", "log_retention_days": "30"}
    answer = as_person(root).post(reverse("lab-settings"), values)
    assert answer.status_code == 400
    assert "auto_approve_core_hours" in answer.context["form"].errors


def announce(text: str) -> None:
    LabSettings.current()
    LabSettings.objects.update(announcement=text)
    cache.clear()


@pytest.mark.parametrize("name", ["dashboard", "calculation-list", "profile", "cluster-list"])
def test_an_announcement_stands_on_every_page(ada: Any, client: Client, name: str) -> None:
    announce("Metis <b>rests</b>, see https://lab.example/.")
    text = page(as_person(ada), name)
    assert "Metis &lt;b&gt;rests&lt;/b&gt;" in text and 'href="https://lab.example/"' in text
    assert "Metis" not in client.get(reverse("sign-in")).content.decode()


def test_who_puts_it_away_sees_the_next_one(ada: Any, max: Any) -> None:
    announce("Metis rests.")
    browser = as_person(ada)
    mark = browser.get(reverse("dashboard")).content.decode().split('name="mark" value="')[1][:16]
    answer = post(browser, "announcement-read", mark=mark, next=reverse("profile"))
    assert answer.redirect_chain[-1][0] == reverse("profile")
    assert "Metis rests." not in page(browser, "calculation-list")
    assert "Metis rests." in page(as_person(max), "calculation-list")
    announce("Metis is back.")
    assert "Metis is back." in page(browser, "calculation-list")


def test_a_page_without_an_announcement_asks_the_database_for_none(
    ada: Any, django_assert_num_queries: Any
) -> None:
    lab.announcement()
    with django_assert_num_queries(0):
        assert lab.announcement() == ""


def test_a_change_is_seen_at_once(root: Any, django_capture_on_commit_callbacks: Any) -> None:
    assert lab.announcement() == ""
    with django_capture_on_commit_callbacks(execute=True):
        lab.change_settings({"announcement": "Metis rests."}, actor=root)
    assert lab.announcement() == "Metis rests."
