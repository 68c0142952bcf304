"""The demo's lab: what its library of structures begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from calculations.models import Structure
from labportal.demo import lab
from labportal.demo.structures import STRUCTURES

pytestmark = pytest.mark.django_db


def test_the_library_is_filled_once_and_what_was_deleted_stays_away(tmp_path: Path) -> None:
    lab.prepare(tmp_path, "http://localhost:8000")
    made = Structure.objects.all()
    assert {s.name for s in made} == {s.name for s in STRUCTURES}
    assert {s.created_by.username for s in made} == {"ada"}
    made.filter(name="Water").delete()
    lab.prepare(tmp_path, "http://localhost:8000")
    assert Structure.objects.count() == len(STRUCTURES) - 1
