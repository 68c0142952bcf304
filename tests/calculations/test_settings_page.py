"""The page of settings: changed on record, refused beside the field."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from calculations.models import LabSettings
from tests.calculations.test_pages import as_person, post

pytestmark = pytest.mark.django_db


def test_an_admin_changes_the_settings_on_record(root: Any) -> None:
    from labportal.audit.models import AuditEntry

    values = {
        "auto_approve_core_hours": "2.5",
        "retention_days": "7",
        "log_retention_days": "30",
        "metrics_raw_hours": "24",
        "metrics_minutes_days": "40",
        "metrics_hours_days": "400",
    }
    post(as_person(root), "lab-settings", **values)
    assert LabSettings.current().auto_approve_core_hours == 2.5
    assert AuditEntry.objects.filter(verb="settings.change").exists()


def test_wrong_settings_are_refused_beside_the_field(root: Any) -> None:
    values = {"auto_approve_core_hours": "-1", "retention_days": "7", "log_retention_days": "30"}
    answer = as_person(root).post(reverse("lab-settings"), values)
    assert answer.status_code == 400
    assert "auto_approve_core_hours" in answer.context["form"].errors
