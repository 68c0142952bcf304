"""The rest of the form: spins, mixing, constraints, dynamics, pressure, electrodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calculations.software.parameters import InvalidParameters
from calculations.software.siesta import Siesta, fdf

CELL = {"cell": "10 10 10"}
JUNCTION = {**CELL, "transiesta": True, "bias": 0.5}


def written(**values: Any) -> fdf.Document:
    siesta = Siesta()
    return fdf.read(siesta.prepare(siesta.check(values))["input.fdf"])


def refused(**values: Any) -> dict[str, str]:
    with pytest.raises(InvalidParameters) as caught:
        Siesta().check(values)
    return caught.value.errors


def test_spins_may_be_given_and_fixed() -> None:
    text = written(spin="polarized", total_spin=2, initial_spin="1 +\n2 -0.5")
    assert text.get("Spin.Fix").value == "T"
    assert text.get("Spin.Total").value == "2.0"
    assert text.get("DM.InitSpin").rows == ("1 +", "2 -0.5")
    assert written(spin="spin-orbit").get("Spin").value == "spin-orbit"


def test_mixing_is_written_out() -> None:
    text = written(mixing_method="Broyden", mixing_history=6, mixed="density", kick=20)
    assert text.get("SCF.Mixer.Method").value == "Broyden"
    assert text.get("SCF.Mixer.History").value == "6"
    assert text.get("SCF.Mix").value == "density"
    assert text.get("SCF.Mixer.Kick").value == "20"
    assert written().get("SCF.Mixer.Kick") is None


def test_the_basis_of_single_elements_and_own_orbitals() -> None:
    text = written(basis_sizes="O tzp", basis_block="H 1\n n=1 0 1\n 4.5\n 1.0")
    assert text.get("PAO.BasisSizes").rows == ("O TZP",)
    assert text.get("PAO.Basis").rows[0] == "H 1"


def test_atoms_are_held_in_rows_of_ten() -> None:
    atoms = "\n".join(f"H {i} 0 0" for i in range(14))
    text = written(structure=atoms, run_type="CG", fixed_atoms="1-11, 13", constraints="stress 4 5")
    assert text.get("Geometry.Constraints").rows == (
        "atom 1 2 3 4 5 6 7 8 9 10",
        "atom 11 13",
        "stress 4 5",
    )


def test_an_optimised_cell_has_a_pressure() -> None:
    text = written(**CELL, run_type="FIRE", variable_cell=True, pressure=5)
    assert text.get("MD.TypeOfRun").value == "FIRE"
    assert text.get("MD.TargetPressure").value == "5.0 GPa"


def test_dynamics_are_written_with_their_thermostat() -> None:
    text = written(run_type="Nose", max_steps=500, time_step=0.5, target_temperature=350)
    assert text.get("MD.FinalTimeStep").value == "500"
    assert text.get("MD.LengthTimeStep").value == "0.5 fs"
    assert text.get("MD.TargetTemperature").value == "350.0 K"
    assert text.get("WriteMDHistory").value == "T"
    assert written(run_type="Verlet").get("MD.TargetTemperature") is None


def test_methfessel_paxton_and_charges() -> None:
    text = written(occupation="MP", occupation_order=2, charges="all")
    assert text.get("OccupationMPOrder").value == "2"
    assert text.get("WriteHirshfeldPop").value == "T"
    assert text.get("WriteMullikenPop").value == "1"


def test_two_electrodes_under_a_bias() -> None:
    text = written(**JUNCTION)
    assert text.get("SolutionMethod").value == "transiesta"
    assert text.get("TS.Voltage").value == "0.5 eV"
    assert text.get("TS.Elec.Left").rows == (
        "HS left.TSHS",
        "chem-pot Left",
        "semi-inf-dir -a3",
        "elec-pos 1",
    )
    assert text.get("TS.Elec.Right").rows[-1] == "elec-pos end -1"
    assert text.get("TS.ChemPot.Right").rows[0] == "mu -V/2"
    assert "from -40. eV - V/2 to -10 kT - V/2" in text.get("TS.Contour.C-Right").rows
    siesta = Siesta()
    assert siesta.needed_files(siesta.check(JUNCTION))[-2:] == ("left.TSHS", "right.TSHS")


@pytest.mark.parametrize(
    ("version", "runs"),
    [("v4.1-b4-133", True), ("5.2.1", True), ("4.0.2", False), ("", False), ("unknown", True),
     ("v4.1 without TranSiesta", False)],
)  # fmt: skip
def test_electrodes_need_a_cluster_that_has_transiesta(version: str, runs: bool) -> None:
    siesta = Siesta()
    assert (siesta.unsupported(siesta.check(JUNCTION), version) == "") is runs
    assert siesta.unsupported(siesta.check({}), version) == ""


def test_a_site_may_say_that_it_has_no_transiesta(tmp_path: Path) -> None:
    program = tmp_path / "siesta"
    program.write_text("#!/bin/sh\necho 'Siesta Version  : v4.1-b4-133'\n")
    program.chmod(0o755)
    site = {"executable": str(program), "transiesta": "no"}
    assert Siesta().discover(site) == "v4.1-b4-133 without TranSiesta"


@pytest.mark.parametrize(
    ("values", "name", "words"),
    [
        ({"total_spin": 1}, "total_spin", "polarised"),
        ({"spin": "non-colinear", "total_spin": 1}, "total_spin", "collinear"),
        ({"spin": "polarized", "initial_spin": "9 1"}, "initial_spin", "no atom 9"),
        ({"spin": "polarized", "initial_spin": "1 1\n1 2"}, "initial_spin", "already in line 1"),
        ({"spin": "polarized", "initial_spin": "up"}, "initial_spin", "line 1"),
        ({"basis_sizes": "Fe DZP"}, "basis_sizes", "Fe is not in the structure"),
        ({"basis_sizes": "O QZ"}, "basis_sizes", "line 1"),
        ({"basis_block": "Fe 1\n n=4 0 1"}, "basis_block", "Fe is not in the structure"),
        ({"basis_block": "%block PAO.Basis"}, "basis_block", "line 1"),
        ({"fixed_atoms": "1"}, "fixed_atoms", "stay where they are"),
        ({"run_type": "CG", "fixed_atoms": "1-3"}, "fixed_atoms", "nothing moves"),
        ({"run_type": "CG", "fixed_atoms": "4"}, "fixed_atoms", "outside"),
        ({"run_type": "CG", "constraints": "routine constr"}, "constraints", "line 1"),
        ({"run_type": "ParrinelloRahman"}, "run_type", "needs a cell"),
        ({**CELL, "k_grid": "4 0 0 0\n0 4 0 0"}, "k_grid", "three rows"),
        ({"k_grid": "4 0 0 0\n0 4 0 0\n0 0 1 0"}, "k_grid", "needs a cell"),
        ({"slab_dipole": True}, "slab_dipole", "needs a cell"),
        ({"bias": 0.5}, "bias", "two electrodes"),
        ({"transiesta": True}, "transiesta", "needs a cell"),
        ({**JUNCTION, "electrode_left": "../x"}, "electrode_left", ".TSHS"),
        ({**JUNCTION, "k_points_c": 3}, "k_points_c", "must be 1"),
        ({**JUNCTION, "charge": 1}, "charge", "must be 0"),
    ],
)
def test_what_does_not_go_together_is_refused(values: Any, name: str, words: str) -> None:
    assert words in refused(**values)[name]
