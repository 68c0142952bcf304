"""Recorded runs with all their analyses, and the same files as sisl, ASE and numpy read them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy
import pytest

from calculations.software.execution import execute, execute_across
from calculations.software.registry import all_software
from calculations.software.results import Results
from tests.calculations.recorded import reports

ase_io = pytest.importorskip("ase.io")
sisl = pytest.importorskip("sisl")

DATA = Path(__file__).parents[2] / "data"
FIELDS = (0.0, 0.1, 0.2, 0.3, 0.4)
LENGTHS = (10.0, 10.1, 10.2, 10.3, 10.4)
# ASE reads pw.x with the Rydberg of CODATA 2006.
OF_ASE = 2e-7


@lru_cache
def run(software: str, folder: str) -> Results:
    """What was extracted, and all analyses of one run made of it."""
    plugin = all_software()[software]
    found = plugin.extract(DATA / software / folder)
    for item in execute([a for a in plugin.analyses if a.scope == "run"], found, {}):
        assert item.status != "failed", (folder, item.analysis.name, item.problem)
        found = found + item.results
    return found


def across(software: str, runs: Any) -> Results:
    analyses = [a for a in all_software()[software].analyses if a.scope == "calculation"]
    found = Results()
    for item in execute_across(analyses, runs, troubled={}):
        assert item.status != "failed", (item.analysis.name, item.problem)
        found = found + item.results
    return found


@lru_cache
def in_a_field() -> Results:
    """The water of SIESTA in five fields."""
    return across(
        "siesta", [({"field_y": f}, run("siesta", f"water_field_sweep/field_{f}")) for f in FIELDS]
    )


@lru_cache
def stretched() -> Results:
    """The silicon of pw.x at five lattice parameters."""
    return across(
        "espresso",
        [({"celldm": a}, run("espresso", f"silicon_lattice_sweep/celldm_{a}")) for a in LENGTHS],
    )


@lru_cache
def pyscf_runs() -> list[tuple[dict[str, Any], Results]]:
    """The recorded reports of PySCF: water in a field along z, computed anew from what was read."""
    plugin = all_software()["pyscf"]
    fields = (-0.01, -0.005, 0.0, 0.005, 0.01)
    found = []
    for field, report in zip(fields, reports(), strict=True):
        parameters = plugin.check({"field_z": field})
        results = Results.from_json(report["results"])
        for item in execute([a for a in plugin.analyses if a.scope == "run"], results, parameters):
            assert item.status != "failed", item.problem
            results = results + item.results
        found.append((parameters, results))
    return found


def value(results: Results, name: str) -> Any:
    found = results.quantity(name)
    assert found is not None, name
    return found.value


def column(results: Results, dataset: str, name: str) -> numpy.ndarray:
    found = results.dataset(dataset)
    assert found is not None, dataset
    return numpy.array(found.column(name).values, dtype=float)


def pw(folder: str, index: int = -1) -> Any:
    return ase_io.read(
        DATA / "espresso" / folder / "output.out", index=index, format="espresso-out"
    )


def siesta(folder: str, name: str) -> Any:
    path = DATA / "siesta" / folder / name
    if name == "output.out":  # other programs call theirs the same
        return sisl.io.siesta.stdoutSileSiesta(path)
    return sisl.get_sile(path)


def levels_after(folder: str, head: str) -> numpy.ndarray:
    """The levels of each k-point that pw.x printed behind a headline."""
    text = (DATA / "espresso" / folder / "output.out").read_text().split(head)[1]
    levels: list[list[float]] = []
    for line in text.splitlines():
        if "bands (ev)" in line:
            levels.append([])
        elif levels and any(word in line for word in ("highest", "Fermi", "Writing")):
            break
        elif levels and line.strip():
            levels[-1] += [float(word) for word in line.split()]
    return numpy.array(levels)


def undeclared(software: str, folders: Sequence[str]) -> list[str]:
    """What analyses of these runs give in another unit than their definition declares."""
    plugin = all_software()[software]
    of_run = [analysis for analysis in plugin.analyses if analysis.scope == "run"]
    found = []
    for folder in folders:
        extracted = plugin.extract(DATA / software / folder)
        for item in execute(of_run, extracted, {}):
            units = item.analysis.units
            for quantity in item.results.quantities:
                pattern = next((p for p in units if fnmatchcase(quantity.name, p)), None)
                if pattern is None or units[pattern] != quantity.unit:
                    found.append(f"{item.analysis.name}: {quantity.name} in {quantity.unit!r}")
    return found
