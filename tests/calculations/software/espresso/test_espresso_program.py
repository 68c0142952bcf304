"""The real pw.x: from the form through input, command and output to verdict and results."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from calculations.software.base import Resources
from calculations.software.execution import execute
from calculations.software.results import Exit, Outcome, Results
from tests.calculations.software.espresso.recorded import ESPRESSO, HYDROGEN, SILICON

PSEUDO = Path(os.environ.get("ESPRESSO_PSEUDO") or "/usr/share/espresso/pseudo")
pytestmark = [
    pytest.mark.espresso,
    pytest.mark.skipif(shutil.which("pw.x") is None, reason="pw.x is not installed"),
    pytest.mark.skipif(
        not (PSEUDO / "Si.pz-vbc.UPF").exists(), reason=f"no pseudopotentials in {PSEUDO}"
    ),
]
SITE = {"pseudo_dir": str(PSEUDO)}


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
    """Do what the agent does: stage, carry, prepare, start, judge, extract."""
    folder.mkdir()
    parameters = ESPRESSO.check(values)
    for name in ESPRESSO.needed_files(parameters):
        if (PSEUDO / name).exists():
            shutil.copy(PSEUDO / name, folder)
    carried = []
    for name in ESPRESSO.carry if before is not None else ():
        if (before.folder / name).exists():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(before.folder / name, folder / name)
            carried.append(name)
    for name, text in ESPRESSO.prepare(parameters, carried).items():
        (folder / name).write_text(text)
    clean = {name: text for name, text in os.environ.items() if name != "ESPRESSO_PSEUDO"}
    with (folder / "output.out").open("wb") as out, (folder / "stderr.txt").open("wb") as errors:
        code = subprocess.run(
            ESPRESSO.command(parameters, Resources(), SITE),
            cwd=folder,
            env={**clean, "OMP_NUM_THREADS": "1", **ESPRESSO.environment(SITE)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            timeout=100,
            check=False,
        ).returncode
    exit = Exit(code)
    return Done(folder, exit, ESPRESSO.judge(folder, exit), ESPRESSO.extract(folder))


WATER = {
    "ecutwfc": 25,
    "ecutrho": 200,
    "conv_thr": 1e-7,
    "pseudo_files": "O O.pbe-rrkjus.UPF\nH H.pbe-kjpaw.UPF",
}


def test_water_with_uploaded_pseudopotentials_has_the_recorded_energy(tmp_path):
    done = solve(tmp_path / "run", **WATER)
    assert (done.exit.code, done.outcome.code) == (0, "converged")
    assert done.value("total_energy_ry") == pytest.approx(-34.25004787, abs=1e-6)
    forces = done.results.dataset("forces")
    assert sum(forces.column("y").values) == pytest.approx(0.0, abs=1e-5)
    assert (done.folder / "espresso.xml").exists()
    assert ESPRESSO.progress((done.folder / "output.out").read_text()).done == 10


def test_a_chain_starts_from_the_density_of_the_run_before(tmp_path):
    """Water has PAW and ultrasoft pseudopotentials: paw.txt is carried too. The box grows."""
    first = solve(tmp_path / "first", **WATER)
    again = solve(tmp_path / "again", first, **WATER)
    assert again.value("started_from") == "the run before"
    assert again.outcome.code == "converged"
    assert again.value("scf_iterations") < first.value("scf_iterations") / 2
    assert again.value("total_energy_ry") == pytest.approx(first.value("total_energy_ry"), abs=1e-6)
    other = solve(tmp_path / "other", again, **WATER | {"ecutwfc": 28, "ecutrho": 224})
    assert (other.outcome.code, other.value("started_from")) == ("converged", "the run before")


def test_a_density_that_does_not_fit_is_told(tmp_path):
    first = solve(tmp_path / "first", **WATER)
    (first.folder / "espresso.save" / "charge-density.dat").write_bytes(b"none")
    spoiled = solve(tmp_path / "spoiled", first, **WATER)
    assert spoiled.exit.code != 0
    assert spoiled.outcome.code == "carried_density_does_not_fit"


def test_too_few_iterations_are_not_valid(tmp_path):
    done = solve(tmp_path / "run", **WATER, electron_maxstep=3)
    assert done.exit.code == 2
    assert b"JOB DONE." in (done.folder / "output.out").read_bytes()
    assert (done.outcome.verdict.value, done.outcome.code) == ("not_valid", "scf_not_converged")


def image(done: Done, index: Any = -1) -> Any:
    """What ASE reads in the same output."""
    ase_io = pytest.importorskip("ase.io")
    return ase_io.read(done.folder / "output.out", index=index, format="espresso-out")


def analysed(done: Done) -> Results:
    """Every analysis of one run, in order."""
    chosen = [analysis for analysis in ESPRESSO.analyses if analysis.scope == "run"]
    return sum((item.results for item in execute(chosen, done.results, {})), done.results)


def test_hydrogen_relaxes_with_pseudopotentials_of_the_cluster(tmp_path):
    done = solve(tmp_path / "run", **HYDROGEN)
    images = image(done, slice(None))
    found = analysed(done)
    way = images[-1].get_distance(0, 1) - images[0].get_distance(0, 1)
    assert found.quantity("rmsd").value == pytest.approx(abs(way) / 2, abs=1e-5)
    assert found.quantity("energy_gained").value > 0
    frames = done.results.dataset("trajectory").column("frame").values
    assert max(frames) == done.value("geometries") - 1
    assert done.results.dataset("final_geometry").column("z").values == (
        done.results.dataset("geometry").column("z").values
    )
    assert done.outcome.code == "converged"
    assert done.value("total_energy_ry") == pytest.approx(-2.252146, abs=1e-5)
    z = done.results.dataset("geometry").column("z").values
    assert z[1] - z[0] == pytest.approx(0.8189, abs=1e-3)


def test_too_few_steps_are_not_valid(tmp_path):
    done = solve(tmp_path / "run", **HYDROGEN, nstep=2)
    assert (done.exit.code, done.outcome.code) == (3, "geometry_not_converged")


def test_the_cell_of_silicon_is_optimised(tmp_path):
    values = SILICON | {"ecutwfc": 15, "celldm": 10.0, "units": "crystal"}
    values |= {f"k_points_{axis}": 2 for axis in "abc"}
    done = solve(tmp_path / "run", **values, calculation="vc-relax")
    assert done.outcome.code == "converged"
    assert abs(done.value("pressure")) < 5
    assert done.value("volume") > (10 * 0.529177210903) ** 3 / 4
    atoms = image(done)
    assert done.value("volume") == pytest.approx(atoms.get_volume(), rel=1e-5)
    before = image(done, 0).get_volume()
    percent = 100 * (atoms.get_volume() / before - 1)
    assert analysed(done).quantity("volume_change").value == pytest.approx(percent, abs=1e-2)


def test_a_sweep_of_silicon_has_its_equation_of_state(tmp_path):
    runs, before = [], None
    for celldm in (10.0, 10.1, 10.2, 10.3, 10.4):
        values = SILICON | {"celldm": celldm, "stress": True}
        before = solve(tmp_path / str(celldm), before, **values)
        assert before.outcome.code == "converged"
        runs.append((ESPRESSO.check(values), before.results))
    assert before.value("started_from") == "the run before"
    compute = {analysis.name: analysis.compute for analysis in ESPRESSO.analyses}
    found = compute["equation_of_state"](runs)
    assert found.quantity("eos_celldm").value == pytest.approx(10.211, abs=0.005)
    assert found.quantity("bulk_modulus").value == pytest.approx(94.3, abs=2)
    images = [
        image(Done(tmp_path / str(a), Exit(0), before.outcome, before.results))
        for a in (10.0, 10.1, 10.2, 10.3, 10.4)
    ]
    eos = pytest.importorskip("ase.eos").EquationOfState(
        [each.get_volume() for each in images],
        [each.get_potential_energy() for each in images],
        "birchmurnaghan",
    )
    volume, energy, modulus = eos.fit()
    assert found.quantity("eos_volume").value == pytest.approx(volume, rel=1e-3)
    assert found.quantity("eos_energy").value == pytest.approx(energy, abs=1e-4)
    assert found.quantity("bulk_modulus").value == pytest.approx(modulus * 160.21766, rel=1e-2)
    # Another way to the same: the pressure passes through 0 near the minimum.
    pressures = [results.quantity("pressure").value for _, results in runs]
    assert pressures == sorted(pressures, reverse=True)
    assert pressures[1] > 0 > pressures[2]


def test_the_bands_of_silicon_take_two_steps(tmp_path):
    values = SILICON | {"calculation": "bands", "bands_computed": 8}
    done = solve(tmp_path / "run", **values)
    assert (done.exit.code, done.outcome.code) == (0, "converged")
    compute = {analysis.name: analysis.compute for analysis in ESPRESSO.analyses}
    found = compute["bands"](done.results, {})
    assert found.quantity("band_gap").value == pytest.approx(0.498, abs=0.01)
    assert found.quantity("band_gap_direct").value is False
    labels = done.results.dataset("band_labels").column("label").values
    assert labels == ("L", "\\Gamma", "X")
    assert len(done.results.dataset("bands").column("energy").values) == 8 * 41 + 7
    # Bands may begin from the density of a run before, like everything else.
    assert solve(tmp_path / "again", done, **values).value("started_from") == "the run before"


def test_the_first_step_that_fails_ends_the_run_with_its_code(tmp_path):
    values = SILICON | {"calculation": "bands", "electron_maxstep": 2}
    done = solve(tmp_path / "run", **values)
    assert (done.exit.code, done.outcome.code) == (2, "scf_not_converged")
    assert (done.folder / "output.out").read_text().count("Program PWSCF") == 1


def test_spin_gives_an_atom_its_moment(tmp_path):
    values = HYDROGEN | {"calculation": "scf", "structure": "H 0 0 0", "spin": "2"}
    done = solve(tmp_path / "run", **values, total_magnetization=1, bands_computed=2)
    assert done.outcome.code == "converged"
    assert done.value("spin_moment") == pytest.approx(1.0)
    spins = done.results.dataset("eigenvalues").column("spin").values
    assert set(spins) == {1, 2}


def test_an_odd_electron_is_advised_smearing(tmp_path):
    values = HYDROGEN | {"calculation": "scf", "structure": "H 0 0 0"}
    done = solve(tmp_path / "run", **values)
    assert (done.outcome.verdict.value, done.outcome.code) == ("failed", "input_error")
    assert "smeared" in done.outcome.remedy


def test_a_metal_has_a_fermi_level_and_no_gap(tmp_path):
    done = solve(
        tmp_path / "run",
        structure="Al 0 0 0",
        units="alat",
        lattice="fcc",
        celldm=7.5,
        ecutwfc=15,
        occupations="smearing",
        smearing="marzari-vanderbilt",
        degauss=0.05,
        pseudopotentials="cluster",
        pseudo_pattern="{element}.pz-vbc.UPF",
        calculation="bands",
        k_points_a=4,
        k_points_b=4,
        k_points_c=4,
    )
    assert done.outcome.code == "converged"
    assert done.value("gap") == 0.0
    compute = {analysis.name: analysis.compute for analysis in ESPRESSO.analyses}
    found = compute["bands"](done.results, {})
    assert found.quantity("band_gap").value == 0.0
    assert "Fermi" in found.dataset("band_structure").column("energy").label


def test_a_missing_pseudopotential_is_named(tmp_path):
    done = solve(tmp_path / "run", **HYDROGEN | {"pseudo_pattern": "{element}.none.UPF"})
    assert done.outcome.code == "missing_pseudopotential"
    assert "H.none.UPF" in done.outcome.message


def test_raw_input_reaches_the_program(tmp_path):
    fine = solve(tmp_path / "fine", **HYDROGEN, extra_input="&ELECTRONS mixing_ndim = 4 /")
    assert fine.outcome.code == "converged"
    bad = solve(tmp_path / "bad", **HYDROGEN, extra_input="&ELECTRONS nonsense = 4 /")
    assert bad.outcome.code == "input_error"
    assert "further input" in bad.outcome.remedy


def test_the_version_is_found():
    assert ESPRESSO.discover({})[0].isdigit()
    assert ESPRESSO.discover({"executable": "/nonexistent/pw.x"}) is None


def test_a_terminated_run_of_two_steps_leaves_nothing_behind(tmp_path):
    program = ESPRESSO.prepare(ESPRESSO.check({"calculation": "bands"}))["run_steps.py"]
    (tmp_path / "run_steps.py").write_text(program)
    (tmp_path / "slow.py").write_text(
        "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(60)"
    )
    command = [sys.executable, "run_steps.py", sys.executable, "slow.py"]
    run = subprocess.Popen(command, cwd=tmp_path)
    began = time.monotonic()
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() - began < 20
        time.sleep(0.01)
    run.terminate()
    assert run.wait(10) == 128 + 15
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_a_killed_question_for_the_version_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, new = tmp_path / "espresso-version-old", tmp_path / "espresso-version-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "CRASH").touch()
    os.utime(old, (0, 0))
    ESPRESSO.discover({"executable": sys.executable})
    assert [entry.name for entry in tmp_path.iterdir()] == [new.name]
