"""Every analysis of PySCF against an independent reading of the same files: `CHECKS`
names for each the check that reads its numbers another way, and one without it fails.
"""

from __future__ import annotations

import json
import math
import subprocess
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy
import pytest

from calculations.software.base import Resources
from calculations.software.execution import execute
from calculations.software.registry import all_software
from calculations.software.results import Results
from tests.calculations.software.independent import (
    across,
    ase_io,
    column,
    pyscf_runs,
    value,
)

BENT = """3
water, stretched and bent
O 0.0 0.0 0.10
H 0.0 0.85 -0.55
H 0.0 -0.70 -0.45
"""


def pyscf_values(name: str) -> list[float]:
    return [float(value(results, name)) for _, results in pyscf_runs()]


def convergence_of_pyscf() -> None:
    for _, results in pyscf_runs():
        gradient = column(results, "scf", "gradient")
        slope = numpy.polyfit(column(results, "scf", "iteration"), numpy.log10(gradient), 1)[0]
        assert value(results, "scf_rate") == pytest.approx(-slope, abs=1e-4)


def orbitals_of_pyscf() -> None:
    for _, results in pyscf_runs():
        table = results.dataset("orbitals")
        energies = numpy.array(table.column("energy").values)
        filled = numpy.array(table.column("occupation").values) > 0
        middle = (energies[filled].max() + energies[~filled].min()) / 2
        assert value(results, "mid_gap") == pytest.approx(middle, abs=1e-6)


def dipole_of_pyscf() -> None:
    for parameters, results in pyscf_runs():
        vector = numpy.array([value(results, f"dipole_{axis}") for axis in "xyz"])
        from ase.units import Bohr, Debye

        assert value(results, "dipole_atomic") == pytest.approx(
            numpy.linalg.norm(vector) * Debye / Bohr, rel=1e-5
        )
        if parameters["field_z"]:
            along = vector[2] * math.copysign(1, parameters["field_z"])
            assert value(results, "dipole_along_field") == pytest.approx(along, abs=1e-7)


@lru_cache
def bent_water() -> tuple[dict[str, Any], Results]:
    """A real run away from its minimum: what the program wrote, and what was made of it."""
    plugin = all_software()["pyscf"]
    parameters = plugin.check({"geometry": BENT, "functional": "HF", "forces": True})
    with TemporaryDirectory() as home:
        folder = Path(home)
        for name, text in plugin.prepare(parameters, []).items():
            (folder / name).write_text(text)
        command = plugin.command(parameters, Resources(), {})
        subprocess.run(command, cwd=folder, check=True, timeout=100, stdout=subprocess.DEVNULL)
        written = json.loads((folder / "results.json").read_text())
        results = plugin.extract(folder)
    (forces,) = [a for a in plugin.analyses if a.name == "forces"]
    (found,) = execute([forces], results, parameters)
    assert found.status == "computed", found.problem
    return written, results + found.results


def energy_of(atoms: Any, basis: str) -> float:
    """The energy (eV) of displaced atoms, by PySCF itself without the program of a run."""
    from ase.units import Hartree
    from pyscf import gto, scf

    places = list(zip(atoms.symbols, atoms.positions, strict=True))
    method = scf.RHF(gto.M(atom=places, unit="Angstrom", basis=basis, verbose=0))
    method.conv_tol = 1e-11
    return float(method.kernel()) * Hartree


def forces_of_pyscf() -> None:
    """The file's own numbers by numpy, and the slope of the energy against each coordinate."""
    from io import StringIO

    written, found = bent_water()
    forces = numpy.array([atom["force"] for atom in written["forces"]])
    assert column(found, "force_sizes", "norm") == pytest.approx(
        numpy.linalg.norm(forces, axis=1), abs=1e-7
    )
    assert value(found, "rms_force") == pytest.approx(math.sqrt((forces**2).mean()), abs=1e-7)
    assert value(found, "net_force") == pytest.approx(
        numpy.linalg.norm(forces.sum(axis=0)), abs=1e-7
    )
    assert value(found, "max_force") == pytest.approx(numpy.linalg.norm(forces, axis=1).max())
    atoms, step = ase_io.read(StringIO(BENT), format="xyz"), 0.002
    basis = all_software()["pyscf"].check({})["basis"]
    for atom, axis in ((0, 2), (1, 1), (2, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            energies.append(energy_of(moved, basis))
        slope = (energies[0] - energies[1]) / (2 * step)
        assert forces[atom, axis] == pytest.approx(-slope, abs=1e-3)


def geometry_of_pyscf() -> None:
    from io import StringIO

    parameters, results = pyscf_runs()[0]
    atoms = ase_io.read(StringIO(parameters["geometry"]), format="xyz")
    bonds = [atoms.get_distance(0, i) for i in (1, 2)]
    assert value(results, "bond_H_O") == pytest.approx(sum(bonds) / 2, abs=1e-5)
    assert value(results, "angle_H_O_H") == pytest.approx(atoms.get_angle(1, 0, 2), abs=1e-3)


@lru_cache
def pyscf_response() -> Results:
    return across("pyscf", pyscf_runs())


def energy_of_pyscf() -> None:
    shown = column(pyscf_response(), "energy_sweep", "total_energy")
    assert shown == pytest.approx(pyscf_values("total_energy"))


def dipole_sweep_of_pyscf() -> None:
    shown = column(pyscf_response(), "dipole_field", "dipole_z")
    assert shown == pytest.approx(pyscf_values("dipole_z"))


def polarizability_of_pyscf() -> None:
    from ase.units import Bohr, Debye

    fields = [parameters["field_z"] for parameters, _ in pyscf_runs()]
    slope = numpy.polyfit(fields, numpy.array(pyscf_values("dipole_z")) * Debye / Bohr, 1)[0]
    found = pyscf_response()
    assert value(found, "polarizability") == pytest.approx(slope, rel=1e-5)
    assert value(found, "polarizability_volume") == pytest.approx(slope * Bohr**3, rel=1e-5)
    # The second derivative of the energy is another way to the same number.
    energies = numpy.array(pyscf_values("total_energy")) / 27.211386245988
    curvature = 2 * numpy.polyfit(fields, energies, 2)[0]
    assert value(found, "polarizability") == pytest.approx(-curvature, rel=2e-2)


CHECKS = {
    "convergence": convergence_of_pyscf,
    "orbitals": orbitals_of_pyscf,
    "dipole": dipole_of_pyscf,
    "forces": forces_of_pyscf,
    "geometry": geometry_of_pyscf,
    "energy_vs_sweep": energy_of_pyscf,
    "dipole_vs_field": dipole_sweep_of_pyscf,
    "polarizability": polarizability_of_pyscf,
}


@pytest.mark.parametrize("analysis", CHECKS)
def test_an_independent_reading_gives_the_same(analysis):
    CHECKS[analysis]()


def test_every_analysis_has_an_independent_check():
    assert set(CHECKS) == {a.name for a in all_software()["pyscf"].analyses}
