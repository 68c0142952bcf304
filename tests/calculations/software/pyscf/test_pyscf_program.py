"""The real program: water under a field, each run from the density matrix of the one before."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from calculations.software.base import Resources
from calculations.software.pyscf import PySCF
from calculations.software.results import Exit, Outcome, Results

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pyscf") is None, reason="pyscf is not installed"
)
PLUGIN = PySCF()


@dataclass
class Done:
    folder: Path
    exit: Exit
    outcome: Outcome
    results: Results

    def value(self, name: str) -> Any:
        quantity = self.results.quantity(name)
        assert quantity is not None, name
        return quantity.value


def solve(folder: Path, before: Done | None = None, **values: Any) -> Done:
    folder.mkdir()
    parameters = PLUGIN.check(values)
    carried = []
    if before is not None:
        shutil.copy(before.folder / "density_matrix.npy", folder)
        carried = ["density_matrix.npy"]
    for name, text in PLUGIN.prepare(parameters, carried).items():
        (folder / name).write_text(text)
    with (folder / "output.out").open("wb") as out, (folder / "stderr.txt").open("wb") as errors:
        code = subprocess.run(
            PLUGIN.command(parameters, Resources(), {}),
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=out,
            stderr=errors,
            timeout=100,
            check=False,
        ).returncode
    exit = Exit(code)
    return Done(folder, exit, PLUGIN.judge(folder, exit), PLUGIN.extract(folder))


def test_a_chain_of_fields_polarises_water(tmp_path: Path) -> None:
    runs: list[Done] = []
    for i, field in enumerate((0.0, 0.01, 0.02, 0.03, 0.04)):
        runs.append(solve(tmp_path / str(i), runs[-1] if runs else None, field_z=field))
    assert {run.outcome.code for run in runs} == {"converged"}
    assert [run.value("scf_iterations") for run in runs] == [7, 6, 6, 6, 6]
    dipoles = [run.value("dipole_z") for run in runs]
    assert dipoles == sorted(dipoles)
    assert dipoles[0] == pytest.approx(1.936, abs=5e-4)
    assert dipoles[-1] == pytest.approx(2.460, abs=5e-4)
    assert [run.value("started_from") for run in runs] == ["atoms"] + 4 * ["the run before"]
    # Hellmann-Feynman: the energy's slope against the field is minus the dipole.
    energies = [run.value("total_energy_hartree") for run in runs]
    slope = (energies[2] - energies[0]) / 0.02
    assert slope == pytest.approx(-dipoles[1] / 2.541746473, rel=1e-3)
    lines = (runs[0].folder / "output.out").read_text()
    progress = PLUGIN.progress(lines)
    assert progress is not None
    assert progress.done == 7


def test_the_energy_of_water_is_the_known_one(tmp_path: Path) -> None:
    """RHF/STO-3G, whose energy other programs give too."""
    done = solve(tmp_path / "hf", functional="HF", basis="sto-3g", forces=True)
    assert done.value("total_energy_hartree") == pytest.approx(-74.963, abs=2e-3)
    forces = done.results.dataset("forces")
    assert forces is not None
    for axis in "xyz":
        assert sum(forces.column(axis).values) == pytest.approx(0.0, abs=1e-5)


def test_too_few_iterations_are_not_valid(tmp_path: Path) -> None:
    done = solve(tmp_path / "short", max_cycles=2)
    assert done.exit.code == 0
    assert (done.outcome.verdict.value, done.outcome.code) == ("not_valid", "scf_not_converged")
    assert done.outcome.remedy


def test_a_density_matrix_of_another_shape_is_refused(tmp_path: Path) -> None:
    first = solve(tmp_path / "first", basis="sto-3g")
    second = solve(tmp_path / "second", before=first, basis="def2-svp")
    assert second.outcome.code == "carried_density_does_not_fit"
    assert "7 x 7" in second.outcome.message
    assert "24 x 24" in second.outcome.message
    assert not (second.folder / "results.json").exists()


def test_an_open_shell_has_both_spins(tmp_path: Path) -> None:
    done = solve(tmp_path / "cation", charge=1, spin=1, basis="sto-3g", density_fitting=True)
    assert done.outcome.code == "converged"
    orbitals = done.results.dataset("orbitals")
    assert orbitals is not None
    assert set(orbitals.column("spin").values) == {"up", "down"}
    again = solve(
        tmp_path / "again", before=done, charge=1, spin=1, basis="sto-3g", density_fitting=True
    )
    assert again.value("started_from") == "the run before"


def test_what_the_program_writes_is_plain_json(tmp_path: Path) -> None:
    done = solve(tmp_path / "run", basis="sto-3g")
    document = json.loads((done.folder / "results.json").read_text())
    assert document["versions"]["pyscf"]
    assert not list(done.folder.glob("*.new"))


def test_the_version_is_found_without_importing_it() -> None:
    assert PLUGIN.discover({})
    assert PLUGIN.discover({"python": "/nonexistent/python"}) is None
