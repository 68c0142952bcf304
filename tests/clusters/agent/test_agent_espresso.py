"""The agent with the real pw.x: a site's pseudopotentials, a carried density, runs of two steps."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calculations.software.espresso import Espresso
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
