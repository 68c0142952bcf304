"""Data sets: which runs they hold, typed columns with units, the same rows in every form."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pyarrow.parquet as pq
import pytest

from calculations.exports import dataset as datasets
from calculations.exports import rows as reading
from calculations.exports.columns import columns_of
from calculations.exports.runset import RunSet
from calculations.models import Calculation, Dataset, Quantity, Run
from calculations.states import Standing
from labportal.common.errors import InvalidInput
from tests.calculations.exports.conftest import vouch
from tests.calculations.factories import submitted
from tests.factories import ProjectFactory

Exported = Callable[..., BytesIO]


def rows_of(stream: BytesIO) -> list[dict[str, Any]]:
    return pq.read_table(stream).to_pylist()


def card_in(stream: BytesIO) -> dict[str, Any]:
    return json.loads(pq.read_metadata(stream).metadata[datasets.CARD])


def test_each_run_is_a_row_with_typed_numbers_and_where_they_come_from(
    water: Calculation, ada: Any, exported: Exported
) -> None:
    rows = rows_of(exported("dataset-parquet", ada))
    assert [row["run"] for row in rows] == [1, 2, 3, 4, 5]
    first, run = rows[0], water.runs.get(index=0)
    assert first["run_id"] == str(run.pk)
    assert first["quantity_total_energy"] == pytest.approx(-2078.119301, abs=1e-5)
    assert first["parameter_field_z"] == -0.01
    assert first["parameter_functional"] == "PBE0"
    assert (first["formula"], first["atom_count"]) == ("H2O", 3)
    assert first["symbols"] == ["O", "H", "H"]
    assert first["positions"][1] == pytest.approx([0.0, 0.757, 0.586])
    assert first["cell"] is None and first["pbc"] == [False] * 3
    assert (first["software"], first["program_version"]) == ("pyscf", "PySCF 2.14.0")
    assert (first["cluster"], first["attempt"]) == ("tesla-1", 1)
    assert first["finished_at"] == run.finished_at
    assert len({row["input_sha256"] for row in rows}) == 5


def test_units_stand_in_the_columns_and_the_card_in_the_file(
    water: Calculation, ada: Any, exported: Exported
) -> None:
    stream = exported("dataset-parquet", ada, note="CC BY 4.0")
    schema = pq.read_schema(stream)
    energy = schema.field("quantity_total_energy")
    assert energy.metadata[b"unit"] == b"eV" and energy.metadata[b"label"] == b"Total energy"
    assert schema.field("parameter_field_z").metadata[b"unit"] == b"a.u."
    card = card_in(stream)
    assert card["schema"] == "labportal-dataset/1" == schema.metadata[b"labportal_schema"].decode()
    assert (card["rows"], card["licence_and_citation"]) == (5, "CC BY 4.0")
    assert card["authors"] == ["ada"] and "ada@lab.example" not in json.dumps(card)
    assert card["programs"] == [
        {"software": "pyscf", "plugin_version": 1, "versions": ["PySCF 2.14.0"]}
    ]
    assert [column["name"] for column in card["columns"]] == schema.names


def test_json_lines_hold_the_same_row_for_row(
    water: Calculation, ada: Any, exported: Exported
) -> None:
    asked = {"include": ["structures", "orbitals", "scf"]}
    stream = exported("dataset-parquet", ada, **asked)
    table = pq.read_table(stream)
    with zipfile.ZipFile(exported("dataset-jsonl", ada, **asked)) as archive:
        assert archive.namelist() == [datasets.DATA, datasets.README]
        lines = archive.read(datasets.DATA).decode().splitlines()
        card = json.loads(archive.read(datasets.README))
    rows = [json.loads(line) for line in lines]
    for row in rows:
        row["finished_at"] = datetime.fromisoformat(row["finished_at"]).astimezone(UTC)
    assert rows == table.to_pylist()
    assert {**card, "made_at": ""} == {**card_in(stream), "made_at": ""}


def test_pandas_reads_it(water: Calculation, ada: Any, exported: Exported) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(exported("dataset-parquet", ada))
    assert frame["quantity_total_energy"].dtype == "float64" and len(frame) == 5


def test_datasets_become_columns_of_lists(water: Calculation, ada: Any, exported: Exported) -> None:
    held = Dataset.objects.filter(run__calculation=water, run__index=0).exclude(columns=[])
    chosen = held.order_by("id").first()
    (first, *_) = rows_of(exported("dataset-parquet", ada, include=[chosen.name]))
    for column in chosen.columns:
        name = f"dataset_{chosen.name}_{column['name']}"
        assert first[name] == column["values"]
    assert "symbols" not in first and first["formula"] == "H2O"


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"standing": Standing.RETRACTED}, {"validated": 0, "checked": 0}),
        ({"standing": ""}, {"validated": 0, "checked": 0}),
        ({"standing": Standing.CHECKED}, {"validated": 0, "checked": 5}),
        ({"doubt": "C-1 was retracted"}, {"validated": 0, "checked": 0}),
        ({"state": "not_valid"}, {"validated": 0, "checked": 0}),
        ({}, {"validated": 5, "checked": 5}),
    ],
)
def test_only_what_somebody_vouches_for_is_in_it(
    change: dict[str, str], counts: dict[str, int], water: Calculation, ada: Any
) -> None:
    Calculation.objects.filter(pk=water.pk).update(**change)
    found = {name: RunSet.read({"standing": name}, ada).count() for name in counts}
    assert found == counts


def test_runs_that_are_not_valid_are_left_out(
    water: Calculation, ada: Any, exported: Exported
) -> None:
    water.runs.filter(index=1).update(state="not_valid")
    assert [row["run"] for row in rows_of(exported("dataset-parquet", ada))] == [1, 3, 4, 5]


def test_filters_of_the_list_narrow_it(water: Calculation, ada: Any, exported: Exported) -> None:
    def count(**filters: str) -> int:
        return RunSet.read({"filters": filters}, ada).count()

    assert count(software="pyscf", text="electric") == 5
    assert count(software="siesta") == count(text="silicon") == count(person="eve") == 0
    with pytest.raises(InvalidInput, match="colour is no filter"):
        count(colour="red")


def test_others_private_projects_are_not_in_it(ada: Any, eve: Any, exported: Exported) -> None:
    private = submitted(ada, project=ProjectFactory(private=True, members=[ada]))
    private.runs.update(state="valid")
    Calculation.objects.filter(pk=private.pk).update(state="valid")
    vouch(private)
    assert len(rows_of(exported("dataset-parquet", ada))) == 1
    assert rows_of(exported("dataset-parquet", eve)) == []


def test_an_empty_set_is_an_empty_table(ada: Any, exported: Exported) -> None:
    table = pq.read_table(exported("dataset-parquet", ada))
    assert table.num_rows == 0 and "run_id" in table.schema.names


def test_the_same_quantity_in_two_units_has_two_columns(
    water: Calculation, ada: Any, exported: Exported
) -> None:
    run = water.runs.get(index=0)
    Quantity.objects.filter(run=run, name="total_energy").update(unit="Ha", number=-76.4)
    first, second, *_ = rows_of(exported("dataset-parquet", ada))
    assert first["quantity_total_energy_in_ha"] == -76.4
    assert first["quantity_total_energy_in_ev"] is None
    assert second["quantity_total_energy_in_ev"] < -2000


def test_values_that_do_not_fit_their_column_are_null(
    water: Calculation, ada: Any, exported: Exported
) -> None:
    runs = list(water.runs.order_by("index"))
    for run, value in zip(runs, ({"text": "none"}, {"number": 1.5}, {"truth": True}), strict=False):
        Quantity.objects.create(calculation=water, run=run, name="odd", label="Odd", **value)
    water.parameters["gone_parameter"] = {"a": float("inf")}
    Calculation.objects.filter(pk=water.pk).update(parameters={"gone": [1, 2], "basis": "x"})
    first, second, third, *_ = rows_of(exported("dataset-parquet", ada))
    assert [first["quantity_odd"], second["quantity_odd"]] == ["none", "1.5"]
    assert third["quantity_odd"] == "true"
    assert json.loads(first["other_parameters"]) == {"gone": [1, 2]}
    assert first["parameter_functional"] is None


def test_pieces_and_groups_change_nothing(
    water: Calculation, ada: Any, exported: Exported, monkeypatch: Any
) -> None:
    whole = rows_of(exported("dataset-parquet", ada))
    monkeypatch.setattr(reading, "PIECE", 2)
    monkeypatch.setattr(datasets, "ROWS_OF_GROUP", 2)
    stream = exported("dataset-parquet", ada)
    assert pq.ParquetFile(stream).num_row_groups == 3
    assert rows_of(stream) == whole


def test_long_lists_make_small_pieces(water: Calculation, ada: Any, monkeypatch: Any) -> None:
    def sizes() -> list[int]:
        chosen = RunSet.read({"include": ["scf"]}, ada)
        return [len(piece) for piece in reading.rows(chosen, columns_of(chosen))]

    assert sizes() == [5]
    monkeypatch.setattr(reading, "FIRST_PIECE", 2)
    assert sizes() == [2, 3]
    monkeypatch.setattr(reading, "MOST_VALUES", 1)
    assert sizes() == [2, 1, 1, 1]


def test_the_queries_do_not_grow_with_the_runs(
    water: Calculation, ada: Any, exported: Exported, django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as few:
        exported("dataset-parquet", ada)
    Run.objects.bulk_create(
        Run(calculation=water, index=index, state="valid") for index in range(5, 100)
    )
    with django_assert_num_queries(len(few)):
        assert len(rows_of(exported("dataset-parquet", ada))) == 100


def test_names_of_columns_are_harmless(water: Calculation, ada: Any, exported: Exported) -> None:
    run = water.runs.get(index=0)
    columns = [{"name": '"; DROP', "label": "x", "unit": "", "values": [1, "two", None]}]
    Dataset.objects.create(
        calculation=water, run=run, name="a'b%s", label="A", kind="table", columns=columns
    )
    Quantity.objects.create(calculation=water, run=run, name="é <b>", label="x", number=1.0)
    (first, *_) = rows_of(exported("dataset-parquet", ada, include=["a'b%s"]))
    assert first["dataset_a_b_s_drop"] == ["1", "two", None]
    assert first["quantity_b"] == 1.0


def test_formula_elements_and_bounds_of_quantities_narrow_it(water: Calculation, ada: Any) -> None:
    def count(**asked: Any) -> int:
        return RunSet.read(asked, ada).count()

    energies = sorted(run.main_value for run in water.runs.all())
    bound = f"total_energy<{(energies[1] + energies[2]) / 2} eV"
    assert count(where=[bound]) == 2
    assert count(where=["total_energy>-1e9 Ha"]) == 5  # in another unit
    assert count(where=["polarizability>1"]) == 5  # of all runs together
    assert count(where=["polarizability>100"]) == 0
    structure = Calculation.objects.get(pk=water.pk).structure
    assert structure is not None
    assert count(filters={"formula": "h2o"}) == count(filters={"elements": "H, O"}) == 5
    assert count(filters={"formula": "CH4"}) == count(filters={"elements": "H-N"}) == 0
    assert count(filters={"structure": structure.number}) == 5
    assert count(filters={"q": "valid water runs"}) == 5
    assert count(filters={"q": f"formula:H2O {bound}"}) == 2
    assert count(filters={"text": bound}) == 2  # as the list of calculations has it
    assert count(filters={"q": "software:siesta"}) == 0


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"where": ["gap>"]}, "is no condition"),
        ({"where": ["nothing>5"]}, "There is no quantity 'nothing'"),
        ({"where": ["total_energy>1"] * 13}, "12 conditions at most"),
        ({"filters": {"elements": "H, Xx"}}, "Xx is no chemical symbol"),
        ({"filters": []}, ""),
        ({"filters": "all"}, "must be an object"),
        ({"filters": {"person": "x" * 501}}, "500 characters each"),
        ({"standing": "retracted"}, "must be one of validated, checked"),
        ({"include": ["x"] * 41}, "at most 40"),
        ({"include": 7}, "must be a list"),
        ({"note": "x" * 501}, "500 characters"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_its_field(
    asked: dict[str, Any], words: str, water: Calculation, ada: Any
) -> None:
    if not words:
        assert RunSet.read(asked, ada).count() == 5
        return
    with pytest.raises(InvalidInput, match=words) as refused:
        RunSet.read(asked, ada)
    assert {field.partition(".")[0] for field in refused.value.errors} == set(asked)
