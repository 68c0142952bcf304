"""The library of structures in the REST interface."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from rest_framework.test import APIClient

from calculations.models import Structure
from calculations.software.structure import WATER
from tests.calculations.factories import draft
from tests.calculations.structures.samples import CIF, POSCAR
from tests.calculations.test_structures import kept, relaxed
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db
LIST = "/api/v1/structures/"


@pytest.fixture
def api(ada: Any) -> APIClient:
    client = APIClient()
    client.force_authenticate(ada)
    return client


def test_text_becomes_a_structure_once(api: APIClient) -> None:
    wish = {"name": "Salt", "content": CIF, "format": "cif", "tags": ["bulk"]}
    answer = api.post(LIST, wish, format="json")
    assert answer.status_code == 201, answer.json()
    made = answer.json()
    assert (made["formula"], made["tags"], made["source_format"]) == ("Cl4Na4", ["bulk"], "cif")
    assert made["content"].startswith("8\n")
    again = api.post(LIST, wish, format="json")
    assert again.status_code == 200 and again.json()["id"] == made["id"]


def test_a_file_is_uploaded(api: APIClient) -> None:
    file = SimpleUploadedFile("si.POSCAR", POSCAR.encode())
    answer = api.post(LIST, {"file": file}, format="multipart")
    assert answer.status_code == 201, answer.json()
    assert answer.json()["source_name"] == "si.POSCAR"


@pytest.mark.parametrize(
    ("wish", "field", "words"),
    [
        ({"content": "1\n\nQq 0 0 0"}, "content", "line 3"),
        ({}, "content", "either a file or text"),
        ({"content": WATER, "format": "docx"}, "format", "not a valid choice"),
        ({"content": WATER, "tags": ["x" * 50]}, "tags", "at most 20 tags"),
        ({"content": WATER, "project": "nowhere"}, "project", "nowhere"),
    ],
)
def test_what_is_wrong_names_its_field(
    api: APIClient, wish: dict[str, Any], field: str, words: str
) -> None:
    answer = api.post(LIST, wish, format="json")
    assert answer.status_code == 400
    assert words in " ".join(answer.json()["errors"][field])


def test_the_list_is_narrowed_and_counts_calculations(api: APIClient, ada: Any) -> None:
    used = draft(ada, software="pyscf").structure
    kept(ada, POSCAR, name="Silicon")
    kept(ada, CIF, project=ProjectFactory(private=True), name="Hidden")
    assert len(api.get(LIST).json()["results"]) == 2
    (row,) = api.get(LIST, {"formula": "H2O"}).json()["results"]
    assert (row["id"], row["calculation_count"]) == (used.pk, 1)
    assert "content" not in row
    (found,) = api.get(f"{LIST}{used.pk}/calculations/").json()["results"]
    assert found["structure"] == used.pk
    (listed,) = api.get("/api/v1/calculations/", {"structure": used.pk}).json()["results"]
    assert listed["id"] == found["id"]


def test_a_structure_changes_its_name_and_goes(api: APIClient, ada: Any) -> None:
    water = kept(ada)
    address = f"{LIST}{water.pk}/"
    changed = api.patch(address, {"name": "Ice", "tags": ["cold"], "formula": "He"}, format="json")
    assert (changed.json()["name"], changed.json()["formula"]) == ("Ice", "H2O")
    assert api.put(address, {}, format="json").status_code == 405
    assert api.delete(address).status_code == 204
    used = draft(ada, software="pyscf").structure
    refused = api.delete(f"{LIST}{used.pk}/")
    assert refused.status_code == 409 and "uses S-" in refused.json()["detail"]


def test_downloads_come_in_the_format_asked_for(api: APIClient, ada: Any) -> None:
    water = kept(ada)
    answer = api.get(f"{LIST}{water.pk}/download/", {"format": "pdb"})
    assert answer.status_code == 200 and b"ATOM" in answer.content
    refused = api.get(f"{LIST}{water.pk}/download/", {"format": "cif"})
    assert refused.status_code == 400 and "needs a cell" in refused.json()["detail"]


def test_a_calculation_takes_a_structure_by_its_id(api: APIClient, ada: Any) -> None:
    silicon = kept(ada, POSCAR)
    wish = {"name": "Bulk", "software": "siesta", "structure": silicon.pk}
    made = api.post("/api/v1/calculations/", wish, format="json").json()
    assert made["structure"] == silicon.pk and "Si" in made["parameters"]["structure"]
    hidden = kept(ada, CIF, project=ProjectFactory(private=True))
    for wrong in (hidden.pk, 10**12, -1):
        answer = api.post("/api/v1/calculations/", {**wish, "structure": wrong}, format="json")
        assert answer.status_code == 400 and "structure" in answer.json()["errors"]


def test_the_last_geometry_of_a_run_becomes_a_structure(api: APIClient, ada: Any) -> None:
    run = relaxed(ada)
    answer = api.post(LIST, {"run": str(run.pk), "name": "Relaxed"}, format="json")
    assert answer.status_code == 201 and answer.json()["derived_from"] == str(run.pk)
    assert Structure.objects.get(name="Relaxed").derived_from == run
    assert reverse("api-structure-list") == LIST
