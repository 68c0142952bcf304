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
        "half_life_days": "14",
        "aging_days": "2",
        "gpu_weight": "16",
        "runs_per_user": "20",
        "runs_per_project": "",
        "price_tolerance_percent": "10",
        "dearer_after_min": "0",
    }
    post(as_person(root), "lab-settings", **values)
    found = LabSettings.current()
    assert found.auto_approve_core_hours == 2.5
    assert (found.half_life_days, found.runs_per_user, found.runs_per_project) == (14, 20, None)
    assert AuditEntry.objects.filter(verb="settings.change").exists()


def test_wrong_settings_are_refused_beside_the_field(root: Any) -> None:
    values = {"auto_approve_core_hours": "-1", "retention_days": "7", "log_retention_days": "30"}
    answer = as_person(root).post(reverse("lab-settings"), values)
    assert answer.status_code == 400
    assert "auto_approve_core_hours" in answer.context["form"].errors
