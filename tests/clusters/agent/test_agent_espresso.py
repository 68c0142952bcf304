"""The agent with the real pw.x: a site's pseudopotentials, a carried density, runs of two steps."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calculations.models import Calculation, Run
from calculations.services.retries import advised
from calculations.software.espresso import Espresso
from calculations.software.results import Outcome, Results
from calculations.software.structure import Structure
from tests.clusters.agent.conftest import AgentProcess
from tests.clusters.agent.fake_portal import FakePortal

PSEUDO = Path(os.environ.get("ESPRESSO_PSEUDO") or "/usr/share/espresso/pseudo")
pytestmark = [
    pytest.mark.espresso,
    pytest.mark.skipif(shutil.which("pw.x") is None, reason="pw.x is not installed"),
    pytest.mark.skipif(
        not (PSEUDO / "Si.pz-vbc.UPF").exists(), reason=f"no pseudopotentials in {PSEUDO}"
    ),
]
SILICON: dict[str, Any] = {
    "structure": "Si 0 0 0\nSi 0.25 0.25 0.25",
    "units": "alat",
    "lattice": "fcc",
    "celldm": 10.2,
    "ecutwfc": 15,
    "pseudopotentials": "cluster",
    "pseudo_pattern": "{element}.pz-vbc.UPF",
    "k_points_a": 2,
    "k_points_b": 2,
    "k_points_c": 2,
    "k_shift": True,
}


def test_a_chain_of_silicon_ends_with_bands(
    agent: AgentProcess, portal: FakePortal, spec: Callable[..., dict[str, Any]]
) -> None:
    espresso = Espresso()
    agent.settings(portal.url, f"[software.espresso]\npseudo_dir = {PSEUDO}\n")
    agent.start()
    first = portal.want(spec(software="espresso", values=espresso.check(SILICON)))
    report = portal.report_of(first)
    assert report["outcome"]["code"] == "converged", report["outcome"]
    bands = espresso.check(SILICON | {"calculation": "bands", "bands_computed": 6, "celldm": 10.3})
    carry = {"run": first[0], "patterns": list(espresso.carry)}
    wanted = ["eigenvalues", "bands", "convergence"]
    second = spec(software="espresso", values=bands, carry=carry, analyses=wanted)
    report = portal.report_of(portal.want(second))
    assert report["outcome"]["code"] == "converged", report["outcome"]
    found = {q["name"]: q["value"] for q in report["results"]["quantities"]}
    assert found["started_from"] == "the run before"
    assert [analysis["name"] for analysis in report["analyses"]] == wanted
    gap = {q["name"]: q["value"] for q in report["analyses"][1]["results"]["quantities"]}
    assert 0.3 < gap["band_gap"] < 0.9
    sent = {file["name"] for file in report["files"]}
    assert {"scf.in", "bands.in", "output.out", "espresso.xml"} <= sent
    assert "espresso.save/charge-density.dat" not in sent


BENT: dict[str, Any] = {
    "calculation": "relax",
    "structure": "H 0 0 0\nH 0 0 1.1",
    "celldm": 8,
    "ecutwfc": 15,
    "conv_thr": 1e-7,
    "nstep": 2,
    "pseudopotentials": "cluster",
    "pseudo_pattern": "{element}.pz-vbc.UPF",
}


def test_a_geometry_goes_on_where_two_steps_have_left_it(
    agent: AgentProcess, portal: FakePortal, spec: Callable[..., dict[str, Any]]
) -> None:
    espresso = Espresso()
    first = espresso.check(BENT)
    agent.settings(portal.url, f"[software.espresso]\npseudo_dir = {PSEUDO}\n")
    agent.start()
    report = portal.report_of(portal.want(spec(software="espresso", values=first)))
    outcome = Outcome.from_json(report["outcome"])
    assert outcome.code == "geometry_not_converged", report["outcome"]
    run = Run(calculation=Calculation(software="espresso", parameters=first))
    advice = advised(run, outcome, Results.from_json(report["results"]))
    assert advice is not None
    assert advice.changes["nstep"] == 100
    assert length(espresso.structure({**first, **advice.changes})) < 1.05
    again = portal.want(spec(software="espresso", values={**first, **advice.changes}))
    report = portal.report_of(again)
    assert report["outcome"]["code"] == "converged", report["outcome"]
    energies = next(d for d in report["results"]["datasets"] if d["name"] == "geometry_steps")
    assert len(energies["columns"][0]["values"]) < 10


def length(structure: Structure) -> float:
    first, second = (atom.position for atom in structure.atoms)
    return math.dist(first, second)
