"""Molecules that were stored before their fingerprint told far parts apart."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from calculations.models import Structure
from calculations.services import structures
from calculations.software.structure import WATER
from tests.calculations.structures.samples import POSCAR
from tests.factories import default_project

migration = import_module("calculations.migrations.0023_fingerprints_of_molecules")
APPS: Any = SimpleNamespace(get_model=lambda app, name: Structure)

pytestmark = pytest.mark.django_db


def test_molecules_are_found_again_by_their_new_fingerprint(ada: Any) -> None:
    kept = {
        name: structures.create(default_project(), content=content, name=name, actor=ada)[0]
        for name, content in {"water": WATER, "silicon": POSCAR}.items()
    }
    known = {name: row.fingerprint for name, row in kept.items()}
    for row in kept.values():
        Structure.objects.filter(pk=row.pk).update(fingerprint=f"old-{row.name}")
    for _ in range(2):
        migration.renew(APPS, None)
        for row in kept.values():
            row.refresh_from_db()
        assert kept["water"].fingerprint == known["water"]
        assert kept["silicon"].fingerprint == "old-silicon"  # a crystal keeps its own


def test_two_rows_that_turn_out_to_be_one_both_stay(ada: Any) -> None:
    one = structures.create(default_project(), content=WATER, name="Water", actor=ada)[0]
    fingerprint = one.fingerprint
    one.pk, one.fingerprint = None, "old"
    one.save()
    migration.renew(APPS, None)
    found = Structure.objects.values_list("fingerprint", flat=True)
    assert sorted(found) == sorted([fingerprint, "old"])
