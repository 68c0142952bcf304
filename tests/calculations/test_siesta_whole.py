"""The whole way of SIESTA's calculations: portal, worker, agent, chain, analyses, charts, report.

With a real `siesta` on the path and its pseudopotentials in SIESTA_PSEUDO the same is computed for
real; else a stand-in hands out the recorded runs.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.client import Client
from bench.stack import Stack
from tests.calculations.pseudopotentials import psf

pytestmark = pytest.mark.xdist_group("whole")
ROOT = Path(__file__).resolve().parents[1]
STANDINS = ROOT / "standins"
SILICON = ROOT / "data" / "siesta" / "silicon_bands_dos" / "input.fdf"
PSEUDO = Path(os.environ.get("SIESTA_PSEUDO") or "/nonexistent")
REAL = shutil.which("siesta") is not None and PSEUDO.is_dir()
FAMILY = """
import json, sys
from io import BytesIO
from calculations.services import pseudopotentials
from labportal.accounts.models import User
files = [(n, BytesIO(bytes.fromhex(h))) for n, h in json.loads(%r).items()]
added = pseudopotentials.add("CA", files, actor=User.objects.get(username="bench"))
print(json.dumps(len(added.rows)))
"""
REPORT = """
import json
from calculations.charts import charts_of
from calculations.models import Calculation
from calculations.report.gather import gather
from calculations.report.pdf import render
calculation = Calculation.objects.get(pk=%d)
open(%r, "wb").write(render(gather(calculation)))
print(json.dumps([[c["name"], c["title"]] for c in charts_of(calculation)]))
"""
WATER = {"system_label": "water", "cell": "10 10 10", "mesh_cutoff": 100, "functional": "LDA"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    path = os.environ["PATH"] if REAL else f"{STANDINS}{os.pathsep}{os.environ['PATH']}"
    with Stack(environment={"PATH": path}) as stack:
        stack.start_worker()
        stack.start_agent()
        stack.start_web()
        stack.wait_for_agent(software="siesta")
        assert stack.python(FAMILY % json.dumps(library())) == 3
        yield stack


def library() -> dict[str, str]:
    """Return the pseudopotentials by name as hexadecimal."""
    files = {
        f"{element}.psf": (PSEUDO / f"{element}.psf").read_bytes()
        if REAL
        else psf(element, functional="ca")
        for element in ("O", "H", "Si")
    }
    return {name: data.hex() for name, data in files.items()}


def until(condition: Any, words: str, seconds: float = 90.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, words
        time.sleep(0.1)
    return found


def run(client: Client, **wishes: Any) -> dict[str, Any]:
    """Submit a calculation, and return it when it has ended and its analyses are there."""
    asked = {"software": "siesta", "pseudo_family": "CA", **wishes}
    made = client.post("/api/v1/calculations/", asked)
    address = f"/api/v1/calculations/{made['id']}/"
    client.post(f"{address}submit/")
    ended = ("valid", "not_valid", "failed", "cancelled")
    until(lambda: client.get(f"{address}state/")["state"] in ended, "the calculation did not end")
    if made["sweep"]:
        until(lambda: client.get(address)["analysis_results"], "no analyses")
        time.sleep(0.5)
    return client.get(address)


def quantities(row: dict[str, Any]) -> dict[str, Any]:
    return {q["name"]: q["value"] for q in row["quantities"]}


def report_of(stack: Stack, calculation: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    target = stack.home / f"report-{calculation['id']}.pdf"
    charts = stack.python(REPORT % (calculation["id"], str(target)))
    return target.read_bytes(), dict(charts)


def test_water_in_a_field_is_a_chain_whose_dipole_gives_the_polarizability(stack: Stack) -> None:
    sweep = {"parameter": "field_y", "from": 0, "to": 0.4, "points": 5, "mode": "chain"}
    with stack.client() as client:
        found = run(client, name="Water in a field", parameters=WATER, sweep=sweep)
    assert found["state"] == "valid", found["reason"]
    runs = [quantities(run) for run in found["runs"]]
    dipoles = [run["dipole_y"] for run in runs]
    assert dipoles[0] == pytest.approx(1.394, abs=2e-3)
    assert dipoles[-1] == pytest.approx(1.522, abs=2e-3)
    assert dipoles == sorted(dipoles)
    iterations = [run["scf_iterations"] for run in runs]
    assert iterations[0] == 12
    assert set(iterations[1:]) == {6}
    # The slope 0.3204 Debye/(V/Å) times 2.998 Å³.
    assert quantities(found)["polarizability"] == pytest.approx(0.9606, abs=5e-3)
    document, charts = report_of(stack, found)
    assert document.startswith(b"%PDF")
    assert {"polarizability_fit", "dipole_sweep", "scf"} <= set(charts)


def test_silicon_from_its_fdf_file_has_bands_with_their_corners(stack: Stack) -> None:
    with stack.client() as client:
        text = {"input": SILICON.read_text()}
        parameters = client.post("/api/v1/software/siesta/read-input/", text)["parameters"]
        wanted = ["convergence", "eigenvalues", "dos", "pdos", "bands"]
        found = run(client, name="Silicon", parameters=parameters, analyses=wanted)
        (row,) = found["runs"]
        detail = client.get(f"/api/v1/runs/{row['id']}/")
    assert found["state"] == "valid", found["reason"]
    values = quantities(row)
    assert 0.4 < values["band_gap"] < 0.8  # LDA, far below the measured 1.17 eV
    assert values["band_gap_direct"] is False
    sets = {d["name"]: d["columns"] for d in detail["datasets"]}
    labels = next(c["values"] for c in sets["band_labels"] if c["name"] == "label")
    assert labels == ["L", "Gamma", "X"]
    assert [c["label"] for c in sets["pdos"]][1:] == ["Si", "Si s", "Si p", "Si d"]
    document, charts = report_of(stack, found)
    assert document.startswith(b"%PDF")
    assert {"band_structure", "dos_from_fermi", "pdos_from_fermi"} <= set(charts)


def test_an_scf_that_does_not_converge_is_tried_again_with_more_iterations(stack: Stack) -> None:
    with stack.client() as client:
        parameters = {**WATER, "max_scf_iterations": 3}
        found = run(client, name="Impatient", parameters=parameters, automatic_retries=1)
        (row,) = found["runs"]
        attempts = client.get(f"/api/v1/runs/{row['id']}/")["attempts"]
    assert found["state"] == "valid", found["reason"]
    assert [attempt["code"] for attempt in attempts] == ["scf_not_converged", "converged"]
    assert row["changes"] == {"max_scf_iterations": 100}
    assert row["attempt"] == 2
