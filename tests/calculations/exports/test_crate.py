"""An RO-Crate: it is whole, it says what it holds, and nobody asks the network for anything."""

from __future__ import annotations

import hashlib
import json
import socket
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from rocrate.rocrate import ROCrate

from calculations.exports import crate as crates
from calculations.exports.registry import kind_of
from calculations.models import Calculation, InputFile, OutputFile
from labportal.common.clock import now
from labportal.common.errors import InvalidInput
from labportal.common.storage import storage
from tests.calculations.factories import submitted

Exported = Callable[..., BytesIO]


def keep(name: str, content: bytes, model: Any, **place: Any) -> Any:
    key = f"kept/{hashlib.sha256(name.encode()).hexdigest()}"
    size, sha256 = storage().save(key, BytesIO(content))
    return model.objects.create(name=name, size=size, sha256=sha256, key=key, **place)


@pytest.fixture
def filled(water: Calculation) -> Calculation:
    """Water with files: two of the same name, one hostile, one that the store lost."""
    OutputFile.objects.all().delete()
    InputFile.objects.create(
        calculation=water, name="gone.psf", size=3, sha256="a" * 64, key="kept/gone"
    )
    keep("H.psf", b"pseudo", InputFile, calculation=water)
    water.runs.update(started_at=now())
    first, second = water.runs.order_by("index")[:2]
    keep("out.txt", b"one", OutputFile, run=first, attempt=1)
    keep("OUT.txt", b"other", OutputFile, run=first, attempt=1)
    keep("../../etc/passwd", b"two", OutputFile, run=second, attempt=1)
    return water


@pytest.fixture
def unpacked(
    filled: Calculation, ada: Any, exported: Exported, tmp_path: Path, monkeypatch: Any
) -> Path:
    """The crate in a folder, made without a network."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("somebody asked the network")

    monkeypatch.setattr("requests.Session.request", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    with zipfile.ZipFile(exported("ro-crate", ada, calculation=filled.pk)) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "crate")
    return tmp_path / "crate"


def graph_of(folder: Path) -> dict[str, dict[str, Any]]:
    document = json.loads((folder / crates.METADATA).read_text())
    return {entity["@id"]: entity for entity in document["@graph"]}


def ids(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [item["@id"] for item in listed]


def test_the_library_reads_it_back(unpacked: Path) -> None:
    crate = ROCrate(unpacked)
    assert crate.metadata["conformsTo"] == "https://w3id.org/ro/crate/1.1"
    assert "Water in an electric field" in crate.name
    assert len(crate.get_by_type("CreateAction")) == 5
    assert crate.get_by_type("Person")[0]["name"] == "ada"


def test_what_is_listed_is_there_and_what_is_there_is_listed(unpacked: Path) -> None:
    graph = graph_of(unpacked)
    listed = {name: item for name, item in graph.items() if item["@type"] == "File"}
    there = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert set(listed) | {crates.METADATA} == there
    assert set(ids(graph["./"]["hasPart"])) == set(listed)
    for name, item in listed.items():
        content = (unpacked / name).read_bytes()
        assert item["sha256"] == hashlib.sha256(content).hexdigest()
        assert item["contentSize"] == str(len(content))


def test_every_reference_leads_somewhere_and_every_term_is_known(unpacked: Path) -> None:
    graph = graph_of(unpacked)
    outside = ("http://schema.org/", "https://w3id.org/ro/crate/")

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [value["@id"]] if set(value) == {"@id"} else references(list(value.values()))
        return [r for item in value for r in references(item)] if isinstance(value, list) else []

    for entity in graph.values():
        wanted = references(list(entity.values()))
        assert [r for r in wanted if r not in graph and not r.startswith(outside)] == []
    context = json.loads((unpacked / crates.METADATA).read_text())["@context"]
    assert context[0] == "https://w3id.org/ro/crate/1.1/context"


def test_each_run_is_an_action_of_the_program(unpacked: Path, filled: Calculation) -> None:
    graph = graph_of(unpacked)
    action, run = graph["#run-1"], filled.runs.get(index=0)
    program = graph[action["instrument"]["@id"]]
    assert (program["@type"], program["softwareVersion"]) == (
        "SoftwareApplication",
        "PySCF 2.14.0",
    )
    assert action["startTime"] == run.started_at.isoformat()
    assert action["endTime"] == run.finished_at.isoformat()
    assert action["actionStatus"]["@id"].endswith("CompletedActionStatus")
    assert {"outputs/run-1/out.txt", "outputs/run-1/OUT-2.txt", "results/runs.csv"} <= set(
        ids(action["result"])
    )
    assert any(name.startswith("inputs/run-1/") for name in ids(action["object"]))
    assert "supplied/H.psf" in ids(action["object"])
    assert graph[action["location"]["@id"]]["name"] == "tesla-1"
    assert set(ids(graph["./"]["mentions"])) == {f"#run-{n}" for n in range(1, 6)}
    assert "https://w3id.org/ro/wfrun/process/0.5" in ids(graph["./"]["conformsTo"])


def test_results_of_all_runs_are_values_with_units(unpacked: Path) -> None:
    measured = [e for e in graph_of(unpacked).values() if e["@type"] == "PropertyValue"]
    volume = next(e for e in measured if e["@id"].endswith("polarizability_volume"))
    assert volume["value"] == pytest.approx(0.966878, abs=1e-5) and volume["unitText"] == "Å³"


def test_people_are_named_without_their_addresses(unpacked: Path) -> None:
    words = (unpacked / crates.METADATA).read_text() + (unpacked / "report.json").read_text()
    assert "ada" in words and "@lab.example" not in words


def test_names_of_files_stay_inside_and_apart(unpacked: Path) -> None:
    assert (unpacked / "outputs/run-1/out.txt").read_bytes() == b"one"
    assert (unpacked / "outputs/run-1/OUT-2.txt").read_bytes() == b"other"
    (hostile,) = (unpacked / "outputs/run-2").iterdir()
    assert hostile.read_bytes() == b"two" and "/" not in hostile.name
    assert graph_of(unpacked)[f"outputs/run-2/{hostile.name}"]["name"] == "../../etc/passwd"


def test_what_is_no_longer_kept_is_told(unpacked: Path) -> None:
    (told,) = json.loads((unpacked / crates.LEFT_OUT).read_text())
    assert (told["name"], told["why"]) == ("gone.psf", "no longer kept")


def test_large_files_and_unwanted_ones_are_left_out(
    filled: Calculation, ada: Any, exported: Exported, monkeypatch: Any
) -> None:
    def left_out(**asked: Any) -> list[str]:
        with zipfile.ZipFile(exported("ro-crate", ada, calculation=filled.pk, **asked)) as archive:
            told = json.loads(archive.read(crates.LEFT_OUT))
        return sorted(f"{one['name']} {one['why']}" for one in told)

    assert len(left_out(files="inputs")) == 4
    assert len(left_out(files="none")) == 5
    monkeypatch.setattr(crates, "MOST_OF_A_FILE", 4)
    assert "OUT.txt too large" in left_out(files="all")
    with pytest.raises(InvalidInput, match="must be one of all, inputs, none"):
        kind_of("ro-crate").check({"calculation": filled.pk, "files": "some"}, ada)


def test_runs_that_failed_are_actions_that_failed(ada: Any, exported: Exported) -> None:
    calculation = submitted(ada, description="  ")
    calculation.runs.update(state="failed", reason="Exit code 1.")
    with zipfile.ZipFile(exported("ro-crate", ada, calculation=calculation.pk)) as archive:
        graph = json.loads(archive.read(crates.METADATA))["@graph"]
    (action,) = [entity for entity in graph if entity["@type"] == "CreateAction"]
    assert action["error"] == "Exit code 1." and "Failed" in action["actionStatus"]["@id"]


def test_a_crate_of_what_was_retracted_says_so(
    water: Calculation, ada: Any, exported: Exported
) -> None:
    def status() -> str:
        with zipfile.ZipFile(exported("ro-crate", ada, calculation=water.pk)) as archive:
            graph = json.loads(archive.read(crates.METADATA))["@graph"]
        return next(entity for entity in graph if entity["@id"] == "./")["creativeWorkStatus"]

    assert status() == "Validated"
    Calculation.objects.update(standing="retracted", standing_reason="wrong basis")
    assert status() == "RETRACTED: wrong basis"


def test_a_licence_that_is_an_address_is_linked(
    water: Calculation, ada: Any, exported: Exported
) -> None:
    at = "https://creativecommons.org/licenses/by/4.0/"
    stream = exported("ro-crate", ada, calculation=water.pk, note=at)
    with zipfile.ZipFile(stream) as archive:
        graph = {e["@id"]: e for e in json.loads(archive.read(crates.METADATA))["@graph"]}
    assert graph["./"]["license"] == {"@id": at}
