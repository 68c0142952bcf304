"""Tables as CSV and JSON: the same values, harmless words, every table in one zip."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from calculations.exports import tables
from calculations.exports.names import Names, safe
from calculations.models import Calculation, Dataset


@pytest.fixture
def as_ada(ada: Any, client: Client) -> Client:
    client.force_login(ada)
    return client


def test_json_has_the_values_of_csv_with_names_and_units(
    water: Calculation, as_ada: Client
) -> None:
    written = as_ada.get(reverse("api-calculation-runs-csv", args=[water.pk])).content.decode()
    document = as_ada.get(reverse("api-calculation-runs-json", args=[water.pk])).json()
    assert document["schema"] == "labportal-table/1"
    energy = next(c for c in document["columns"] if c["name"] == "total_energy")
    assert energy == {"name": "total_energy", "label": "Total energy", "unit": "eV"}
    place = document["columns"].index(energy)
    rows = list(csv.reader(io.StringIO(written)))[1:]
    assert [float(row[place]) for row in rows] == [row[place] for row in document["rows"]]


def test_what_all_runs_together_gave_is_a_table(water: Calculation, as_ada: Client) -> None:
    written = as_ada.get(reverse("api-calculation-results-csv", args=[water.pk])).content.decode()
    document = as_ada.get(reverse("api-calculation-results-json", args=[water.pk])).json()
    volume = next(row for row in document["rows"] if row[1] == "polarizability_volume")
    assert volume[0] == "polarizability" and volume[4] == "Å³"
    assert f"{volume[3]},Å³" in written


def test_a_dataset_is_json_too(water: Calculation, as_ada: Client) -> None:
    dataset = water.datasets.get(run=None, name="polarizability_fit")
    document = as_ada.get(reverse("api-dataset-json", args=[dataset.pk])).json()
    assert document["title"] == dataset.label
    assert [row[0] for row in document["rows"]] == dataset.columns[0]["values"]


def test_what_is_no_number_is_null_in_json() -> None:
    heads = [tables.Head("a", "A")]
    table = tables.Table("t", "T", heads, [[float("nan")], [float("inf")], [1.0], ["x"]])
    assert json.loads(table.json())["rows"] == [[None], [None], [1.0], ["x"]]


def test_all_tables_are_in_one_zip(
    water: Calculation, ada: Any, exported: Callable[..., BytesIO]
) -> None:
    run = water.runs.get(index=0)
    columns = [{"name": "a", "label": "=cmd()", "unit": "", "values": ["@x"]}]
    for name in ("../evil", "..\\evil", "con"):
        Dataset.objects.create(
            calculation=water, run=run, name=name, label="E", kind="table", columns=columns
        )
    with zipfile.ZipFile(exported("tables", ada, calculation=water.pk)) as archive:
        names = archive.namelist()
        evil = archive.read("run-1/_evil.csv").decode()
        assert archive.read("runs.csv").decode() == tables.of_runs(water).csv()
    assert {"runs.json", "analyses.csv", "across-runs/polarizability_fit.csv"} <= set(names)
    assert {"run-1/_evil-2.csv", "run-1/_con.csv"} <= set(names)
    assert len(names) == len({name.lower() for name in names})
    assert not [name for name in names if ".." in name or name.startswith("/") or "\\" in name]
    assert evil.splitlines() == ["'=cmd()", "'@x"]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("energy.csv", "energy.csv"),
        ("../../etc/passwd", "_.._etc_passwd"),
        (".bashrc", "bashrc"),
        ("", "_"),
        ("...", "_"),
        ("a\0b\r\nc", "a_b__c"),
        ("COM1.csv", "_COM1.csv"),
        ("é水", "__"),
        ("x" * 300, "x" * 80),
    ],
)
def test_names_are_made_harmless(said: str, name: str) -> None:
    assert safe(said) == name


def test_the_same_name_twice_is_numbered() -> None:
    names = Names()
    found = [names.unique("a/", name) for name in ("x.csv", "X.csv", "x.csv", "x", "x")]
    assert found == ["a/x.csv", "a/X-2.csv", "a/x-3.csv", "a/x", "a/x-2"]
