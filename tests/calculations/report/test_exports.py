"""JSON and CSV, and who may have them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from calculations.models import Calculation, Dataset
from calculations.report.gather import MOST_RUNS_WITH_DATA, gather
from calculations.report.json import SCHEMA, to_json
from tests.calculations.factories import draft, submitted
from tests.factories import ProjectFactory

REPORTS = (
    "calculation-report-pdf",
    "calculation-report-json",
    "api-calculation-report",
    "api-calculation-report-pdf",
)
JSON = REPORTS[1:3]


@pytest.fixture
def as_ada(ada: Any, client: Client) -> Client:
    client.force_login(ada)
    return client


@pytest.fixture
def fetch(as_ada: Client) -> Callable[..., Any]:
    return lambda name, pk, **headers: as_ada.get(reverse(name, args=[pk]), headers=headers)


def test_page_and_api_give_the_same_document(water: Calculation, fetch: Any) -> None:
    page, api = (json.loads(fetch(name, water.pk).content) for name in JSON)
    expected = json.loads(json.dumps(to_json(gather(water))))
    for document in (page, api, expected):
        assert document["provenance"].pop("generated_at")
    assert page == api == expected
    assert page["schema"] == SCHEMA == "labportal-report/1"


def test_the_document_has_everything_with_units(water: Calculation, fetch: Any) -> None:
    document = fetch("api-calculation-report", water.pk).json()
    heads = [(head["name"], head["unit"]) for head in document["runs"]["columns"]]
    assert heads[0] == ("total_energy", "eV")
    energies = [row["values"][0] for row in document["runs"]["rows"]]
    assert energies[0] == pytest.approx(-2078.119301, abs=1e-5)
    assert [row["parameters"]["field_z"] for row in document["runs"]["rows"]][-1] == 0.01
    found = {a["name"]: a for a in document["analyses"]}["polarizability"]
    assert {q["name"]: q["unit"] for q in found["quantities"]}["polarizability_volume"] == "Å³"
    assert len(found["records"][0]["input_sha256"]) == 64
    changed = {p["name"] for p in document["parameters"] if p["changed"]}
    assert changed == {"functional", "basis"}
    assert document["software"]["programs"] == [{"version": "PySCF 2.14.0", "source": "its output"}]
    assert document["resources"]["attempts"] == 5
    assert {d["run_index"] for d in document["datasets"]} == {None, 0, 1, 2, 3, 4}
    assert all(len(file["sha256"]) == 64 for file in document["files"])
    assert len(document["figures"]) == 6
    assert document["timeline"][0]["verb"] == "create"


def test_the_same_request_has_the_same_digest(ada: Any) -> None:
    one, two = (submitted(ada, parameters={"value": 1.0}) for _ in range(2))
    other = submitted(ada, parameters={"value": 2.0})
    digests = [gather(c).provenance.request_sha256 for c in (one, two, other)]
    assert digests[0] == digests[1] != digests[2]


def test_a_thousand_runs_are_all_in_the_json_in_a_fixed_number_of_queries(
    thousand: Calculation, fetch: Any, django_assert_max_num_queries: Any
) -> None:
    run = thousand.runs.first()
    columns = [{"name": "x", "label": "x", "unit": "", "values": [1]}]
    place = {"calculation": thousand, "name": "t", "label": "T", "kind": "table"}
    Dataset.objects.create(**place, run=run, columns=columns)
    with django_assert_max_num_queries(25):
        document = fetch("api-calculation-report", thousand.pk).json()
    assert len(document["runs"]["rows"]) == 1000 > MOST_RUNS_WITH_DATA
    assert document["datasets"] == []
    assert "left out" in document["notes"][0]


@pytest.mark.parametrize("name", REPORTS)
def test_a_draft_has_no_report_yet(name: str, ada: Any, fetch: Any) -> None:
    calculation = draft(ada)
    answer = fetch(name, calculation.pk)
    assert answer.status_code == 409
    assert "is a draft: there is a report once it has been submitted." in answer.content.decode()


@pytest.mark.parametrize("name", [*REPORTS, "api-calculation-runs-csv"])
def test_an_outsider_gets_nothing(name: str, ada: Any, eve: Any, client: Client) -> None:
    private = submitted(ada, project=ProjectFactory(private=True, members=[ada]))
    client.force_login(eve)
    assert client.get(reverse(name, args=[private.pk])).status_code == 404
    assert client.get(reverse(name, args=[10**6])).status_code == 404


def test_an_outsider_gets_no_dataset(ada: Any, eve: Any, client: Client) -> None:
    private = submitted(ada, project=ProjectFactory(private=True, members=[ada]))
    dataset = Dataset.objects.create(calculation=private, name="t", label="T", kind="table")
    client.force_login(eve)
    assert client.get(reverse("api-dataset-csv", args=[dataset.pk])).status_code == 404


@pytest.mark.parametrize(
    ("name", "accept", "content_type"),
    [
        ("calculation-report-pdf", "text/html", "application/pdf"),
        ("api-calculation-report-pdf", "application/pdf", "application/pdf"),
        ("api-calculation-runs-csv", "text/csv", "text/csv; charset=utf-8"),
        ("api-calculation-report", "application/json", "application/json"),
    ],
)
def test_the_address_says_the_form(
    name: str, accept: str, content_type: str, water: Calculation, fetch: Any
) -> None:
    answer = fetch(name, water.pk, accept=accept)
    assert (answer.status_code, answer["Content-Type"]) == (200, content_type)
    if "pdf" in name:
        assert answer.content.startswith(b"%PDF-")
        assert f"{water.number}-report.pdf" in answer["Content-Disposition"]


def rows_of(answer: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.content.decode())))


def test_the_runs_are_a_table_with_units_and_all_digits(water: Calculation, fetch: Any) -> None:
    head, *rows = rows_of(fetch("api-calculation-runs-csv", water.pk))
    assert head[:4] == ["Run", "Electric field, z / a.u.", "State", "Total energy / eV"]
    assert rows[0][:3] == ["1", "-0.01", "valid"]
    assert float(rows[0][3]) == water.runs.get(index=0).main_value
    assert len(rows) == 5


def test_values_of_runs_that_are_not_valid_are_left_empty(water: Calculation, fetch: Any) -> None:
    water.runs.filter(index=1).update(state="not_valid")
    _, _, second, *_ = rows_of(fetch("api-calculation-runs-csv", water.pk))
    assert second[:4] == ["2", "-0.005", "not_valid", ""]


def test_a_dataset_is_a_table_with_units(water: Calculation, fetch: Any) -> None:
    dataset = water.datasets.get(run=None, name="polarizability_fit")
    answer = fetch("api-dataset-csv", dataset.pk)
    head, *rows = rows_of(answer)
    assert head[:2] == ["Electric field, z / a.u.", "Dipole, z / Debye"]
    assert [float(row[0]) for row in rows] == [-0.01, -0.005, 0.0, 0.005, 0.01]
    assert "polarizability_fit.csv" in answer["Content-Disposition"]


def test_a_spreadsheet_finds_no_formula_in_it(ada: Any, fetch: Any) -> None:
    columns = [
        {"name": "a", "label": "=1+1", "unit": "", "values": ["@SUM(A1)", "-x", -1.5, True, None]}
    ]
    dataset = Dataset.objects.create(
        calculation=submitted(ada), name='a"\r\nX: y', label="A", kind="table", columns=columns
    )
    answer = fetch("api-dataset-csv", dataset.pk)
    assert rows_of(answer) == [
        ["'=1+1"],
        ["'@SUM(A1)"],
        ["'-x"],
        ["-1.5"],
        ["true"],
        [""],
    ] or rows_of(answer)[:-1] == [["'=1+1"], ["'@SUM(A1)"], ["'-x"], ["-1.5"], ["true"]]
    assert "a___X__y.csv" in answer["Content-Disposition"]
