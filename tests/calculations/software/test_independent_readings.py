"""Every analysis against an independent reading of the same files, by sisl, ASE or numpy.

`CHECKS` names for each analysis of each program the check that reads its numbers another way; one
without such a check fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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


# --- SIESTA ---------------------------------------------------------------------------------------


def convergence_of_siesta() -> None:
    data = siesta("water_single", "output.out").read_scf[-1](iscf=None, as_dataframe=True)
    change = column(run("siesta", "water_single"), "convergence", "density_change")
    assert change == pytest.approx(data["dDmax"].to_numpy(), abs=1e-9)
    slope = numpy.polyfit(numpy.arange(1, len(change) + 1), numpy.log10(change), 1)[0]
    assert value(run("siesta", "water_single"), "scf_rate") == pytest.approx(-slope, abs=1e-4)


def eigenvalues_of_siesta() -> None:
    for folder, label in (("water_single", "water"), ("silicon_bands_dos", "si")):
        sile = siesta(folder, f"{label}.EIG")
        levels, fermi = sile.read_data(), sile.read_fermi_level()  # (spin, k, band), from Fermi
        found = run("siesta", folder)
        assert value(found, "fermi_energy") == pytest.approx(fermi, abs=1e-4)
        energies = numpy.sort(column(found, "levels", "energy"))
        assert energies == pytest.approx(numpy.sort(levels.ravel()), abs=2e-4)
        gaps = [k[k > 0].min() - k[k <= 0].max() for k in levels[0]]
        assert value(found, "direct_gap") == pytest.approx(min(gaps), abs=2e-5)
        gap = levels[levels > 0].min() - levels[levels <= 0].max()
        assert value(found, "gap") == pytest.approx(gap, abs=2e-5)


def forces_of_siesta() -> None:
    for folder, label in (("water_single", "water"), ("water_relax", "water")):
        forces = siesta(folder, f"{label}.FA").read_force()
        found = run("siesta", folder)
        assert column(found, "force_sizes", "norm") == pytest.approx(
            numpy.linalg.norm(forces, axis=1), abs=1e-6
        )
        assert value(found, "rms_force") == pytest.approx(math.sqrt((forces**2).mean()), abs=1e-6)
        net = numpy.linalg.norm(forces.sum(axis=0))
        assert value(found, "net_force") == pytest.approx(net, abs=1e-6)
        assert value(found, "max_force") == pytest.approx(abs(forces).max(), abs=1e-6)


def geometry_of_siesta() -> None:
    geometry = siesta("water_relax", "water.XV").read_geometry()
    atoms = geometry.to.ase()
    found = run("siesta", "water_relax")
    assert value(found, "bond_H_O") == pytest.approx(
        (atoms.get_distance(0, 1) + atoms.get_distance(0, 2)) / 2, abs=2e-5
    )
    assert value(found, "angle_H_O_H") == pytest.approx(atoms.get_angle(1, 0, 2), abs=1e-3)
    crystal = siesta("silicon_bands_dos", "si.XV").read_geometry().to.ase()
    found = run("siesta", "silicon_bands_dos")
    assert value(found, "bond_Si_Si") == pytest.approx(
        crystal.get_distance(0, 1, mic=True), abs=2e-5
    )
    assert value(found, "angle_Si_Si_Si") == pytest.approx(
        math.degrees(math.acos(-1 / 3)), abs=1e-3
    )
    assert value(found, "volume") == pytest.approx(crystal.get_volume(), rel=1e-5)


def relaxation_of_siesta() -> None:
    energies = [
        float(line.split("=")[1])
        for line in (DATA / "siesta/water_relax/output.out").read_text().splitlines()
        if line.startswith("siesta: E_KS(eV) =")
    ]
    found = run("siesta", "water_relax")
    assert column(found, "relaxation", "energy") == pytest.approx(
        numpy.array(energies) - energies[-1], abs=1e-6
    )
    assert value(found, "energy_gained") == pytest.approx(energies[0] - energies[-1], abs=1e-6)


def change_of_siesta() -> None:
    first = sisl.get_sile(DATA / "siesta/water_relax/input.fdf").read_geometry(output=False)
    last = siesta("water_relax", "water.XV").read_geometry()
    ways = last.xyz - first.xyz
    ways -= ways.mean(axis=0)
    found = run("siesta", "water_relax")
    assert value(found, "rmsd") == pytest.approx(math.sqrt((ways**2).sum(axis=1).mean()), abs=1e-5)
    longest = numpy.linalg.norm(ways, axis=1).max()
    assert value(found, "largest_displacement") == pytest.approx(longest, abs=1e-5)


def dos_of_siesta() -> None:
    table = numpy.loadtxt(DATA / "siesta/silicon_bands_dos/si.DOS")
    fermi = siesta("silicon_bands_dos", "si.EIG").read_fermi_level()
    found = run("siesta", "silicon_bands_dos")
    energies, states = (column(found, "dos_from_fermi", name) for name in ("energy", "dos"))
    assert energies == pytest.approx(table[:, 0] - fermi, abs=1e-4)
    assert states == pytest.approx(table[:, 1:].sum(axis=1) if table.shape[1] == 3 else table[:, 1])
    at_fermi = numpy.interp(0.0, energies, states)
    assert value(found, "dos_at_fermi") == pytest.approx(at_fermi, abs=1e-5)
    below = energies < 0
    integral = numpy.trapezoid(
        numpy.append(states[below], at_fermi), numpy.append(energies[below], 0.0)
    )
    assert value(found, "dos_electrons") == pytest.approx(integral, abs=1e-4)


def pdos_of_siesta() -> None:
    """The parts of all orbitals, summed by sisl, are the whole; and the whole is the total DOS."""
    geometry, energies, parts = siesta("silicon_bands_dos", "si.PDOS.xml").read_data()
    found = run("siesta", "silicon_bands_dos")
    total = numpy.asarray(parts).reshape(-1, len(energies)).sum(axis=0)
    assert column(found, "pdos_from_fermi", "Si") == pytest.approx(total, abs=1e-4)
    shells = sum(column(found, "pdos_from_fermi", f"Si_{shell}") for shell in "spd")
    assert shells == pytest.approx(total, abs=1e-4)
    fermi = siesta("silicon_bands_dos", "si.EIG").read_fermi_level()
    axis = column(found, "pdos_from_fermi", "energy")
    assert min(abs(axis - energies).max(), abs(axis - (energies - fermi)).max()) < 2e-4
    orbitals = geometry.atoms[0].orbitals
    of_shell = {
        shell: [i for i, o in enumerate(orbitals) if o.l == n] for n, shell in enumerate("spd")
    }
    flat = numpy.asarray(parts).reshape(-1, len(energies))
    own = len(orbitals)
    for shell, numbers in of_shell.items():
        expected = sum(flat[atom * own + i] for atom in range(2) for i in numbers)
        assert column(found, "pdos_from_fermi", f"Si_{shell}") == pytest.approx(expected, abs=1e-4)
    below = {
        shell: numpy.trapezoid(sum(flat[i] for i in numbers)[axis < 0], axis[axis < 0])
        for shell, numbers in of_shell.items()
    }
    assert value(found, "pdos_largest").endswith(max(below, key=below.get))


def bands_of_siesta() -> None:
    ticks, _, energies = siesta("silicon_bands_dos", "si.bands").read_data()
    flat = numpy.asarray(energies)[:, 0, :]  # (k, spin, band), from the Fermi level
    top, bottom = flat[:, :4].max(), flat[:, 4:].min()
    found = run("siesta", "silicon_bands_dos")
    assert value(found, "band_gap") == pytest.approx(bottom - top, abs=1e-5)
    places = flat[:, :4].max(axis=1).argmax(), flat[:, 4:].min(axis=1).argmin()
    assert value(found, "band_gap_direct") is bool(places[0] == places[1])
    vertical = (flat[:, 4:].min(axis=1) - flat[:, :4].max(axis=1)).min()
    assert value(found, "band_gap_vertical") == pytest.approx(vertical, abs=1e-5)
    drawn = [e for e in found.dataset("band_structure").column("energy").values if e is not None]
    kept = numpy.sort(flat.ravel()) - top
    assert numpy.sort(drawn) == pytest.approx(kept, abs=2e-4)
    corners = found.dataset("band_labels").column("distance").values
    assert list(corners) == pytest.approx(list(ticks[0]), abs=1e-5)


def energy_of_siesta() -> None:
    energies = [
        siesta(f"water_field_sweep/field_{f}", "output.out").read_energy()["total"] for f in FIELDS
    ]
    assert column(in_a_field(), "energy_sweep", "total_energy") == pytest.approx(energies, abs=1e-6)


def dipole_of_siesta() -> None:
    for place, field in enumerate(FIELDS):
        text = (DATA / f"siesta/water_field_sweep/field_{field}/output.out").read_text()
        line = next(x for x in text.splitlines() if "Electric dipole (Debye)" in x)
        expected = [float(word) for word in line.split("=")[1].split()]
        found = [column(in_a_field(), "dipole_sweep", f"dipole_{a}")[place] for a in "xyz"]
        assert found == pytest.approx(expected, abs=1e-6)
        # The same in SIESTA's other unit, which sisl does not read either: a.u. beside it.
        atomic = next(x for x in text.splitlines() if "Electric dipole (a.u.)" in x)
        other = [float(word) * 2.541746 for word in atomic.split("=")[1].split()]
        assert found == pytest.approx(other, abs=5e-5)


def polarizability_of_siesta() -> None:
    dipoles = column(in_a_field(), "dipole_sweep", "dipole_y")
    (slope, intercept), covariance = numpy.polyfit(FIELDS, dipoles, 1, cov=True)
    # 1 Debye per V/Å: 3.33564e-30 C·m over 1e10 V/m, over 4πε0, in Å³.
    factor = 3.33564095e-30 / 1e10 / (4 * math.pi * 8.8541878128e-12) * 1e30
    found = in_a_field()
    assert value(found, "polarizability") == pytest.approx(slope * factor, rel=1e-5)
    error = math.sqrt(covariance[0, 0]) * factor
    assert value(found, "polarizability_error") == pytest.approx(error, rel=1e-2)
    assert value(found, "dipole_at_zero_field") == pytest.approx(intercept, abs=1e-6)


def equation_of_state_of_siesta() -> None:
    """SIESTA's definition is the one of pw.x, whose numbers are checked against ASE."""
    names = {s: {a.name: a for a in all_software()[s].analyses} for s in ("siesta", "espresso")}
    runs = [({"celldm": a}, run("espresso", f"silicon_lattice_sweep/celldm_{a}")) for a in LENGTHS]
    found = [names[s]["equation_of_state"].compute(runs) for s in ("siesta", "espresso")]
    assert value(found[0], "eos_volume") == value(found[1], "eos_volume")
    equation_of_state_of_espresso()


# --- Quantum ESPRESSO -----------------------------------------------------------------------------


def convergence_of_espresso() -> None:
    text = (DATA / "espresso/water_scf/output.out").read_text().splitlines()
    accuracy = [float(x.split("<")[1].split()[0]) for x in text if "estimated scf accuracy" in x]
    found = run("espresso", "water_scf")
    assert column(found, "convergence", "accuracy") == pytest.approx(accuracy)
    slope = numpy.polyfit(numpy.arange(1, len(accuracy) + 1), numpy.log10(accuracy), 1)[0]
    assert value(found, "scf_rate") == pytest.approx(-slope, abs=1e-4)


def eigenvalues_of_espresso() -> None:
    by_ase = numpy.array([k.eps_n for k in pw("silicon_lattice_sweep/celldm_10.2").calc.kpts])
    by_hand = levels_after("silicon_bands", "End of self-consistent calculation")
    for folder, levels in (
        ("silicon_lattice_sweep/celldm_10.2", by_ase),
        ("silicon_bands", by_hand),
    ):
        found = run("espresso", folder)
        assert numpy.sort(column(found, "levels", "energy")) == pytest.approx(
            numpy.sort(levels.ravel()) - levels[:, :4].max(), abs=2e-4
        )
        assert column(found, "levels", "occupied").sum() == 4 * len(levels)
        if levels.shape[1] > 4:
            direct = (levels[:, 4:].min(axis=1) - levels[:, :4].max(axis=1)).min()
            assert value(found, "direct_gap") == pytest.approx(direct, abs=2e-4)


def forces_of_espresso() -> None:
    for folder in ("water_scf", "hydrogen_relax"):
        forces = pw(folder).get_forces()
        found = run("espresso", folder)
        assert column(found, "force_sizes", "norm") == pytest.approx(
            numpy.linalg.norm(forces, axis=1), abs=1e-6
        )
        assert value(found, "rms_force") == pytest.approx(math.sqrt((forces**2).mean()), abs=1e-6)
        net = numpy.linalg.norm(forces.sum(axis=0))
        assert value(found, "net_force") == pytest.approx(net, abs=1e-6)


def geometry_of_espresso() -> None:
    atoms = pw("water_scf")
    found = run("espresso", "water_scf")
    bonds = [atoms.get_distance(0, i, mic=True) for i in (1, 2)]
    assert value(found, "bond_H_O") == pytest.approx(sum(bonds) / 2, abs=2e-5)
    angle = atoms.get_angle(1, 0, 2, mic=True)
    assert value(found, "angle_H_O_H") == pytest.approx(angle, abs=1e-3)
    crystal = pw("silicon_vc_relax")
    found = run("espresso", "silicon_vc_relax")
    assert value(found, "bond_Si_Si") == pytest.approx(
        crystal.get_distance(0, 1, mic=True), abs=2e-5
    )
    assert value(found, "volume") == pytest.approx(crystal.get_volume(), rel=1e-5)


def relaxation_of_espresso() -> None:
    images = pw("hydrogen_relax", index=slice(None))
    energies = numpy.array([image.get_potential_energy() for image in images])
    found = run("espresso", "hydrogen_relax")
    shown = column(found, "relaxation", "energy")
    assert shown == pytest.approx(energies[: len(shown)] - energies[len(shown) - 1], abs=1e-5)
    forces = [abs(image.get_forces()).max() for image in images[: len(shown)]]
    assert column(found, "relaxation", "max_force") == pytest.approx(forces, abs=1e-5)


def change_of_espresso() -> None:
    images = pw("hydrogen_relax", index=slice(None))
    ways = images[-1].positions - images[0].positions
    ways -= ways.mean(axis=0)
    found = run("espresso", "hydrogen_relax")
    expected = math.sqrt((ways**2).sum(axis=1).mean())
    assert value(found, "rmsd") == pytest.approx(expected, abs=1e-5)
    cells = pw("silicon_vc_relax", index=slice(None))
    found = run("espresso", "silicon_vc_relax")
    percent = 100 * (cells[-1].get_volume() / cells[0].get_volume() - 1)
    assert value(found, "volume_change") == pytest.approx(percent, abs=1e-2)
    lengths = found.dataset("cell_change").column("after").values[:6]
    assert lengths == pytest.approx(cells[-1].cell.cellpar(), abs=1e-4)


def bands_of_espresso() -> None:
    flat = levels_after("silicon_bands", "End of band structure calculation")
    top, bottom = flat[:, :4].max(), flat[:, 4:].min()
    found = run("espresso", "silicon_bands")
    assert value(found, "band_gap") == pytest.approx(bottom - top, abs=1e-6)
    assert value(found, "valence_top") == pytest.approx(top, abs=1e-6)
    vertical = (flat[:, 4:].min(axis=1) - flat[:, :4].max(axis=1)).min()
    assert value(found, "band_gap_vertical") == pytest.approx(vertical, abs=1e-6)
    drawn = [e for e in found.dataset("band_structure").column("energy").values if e is not None]
    assert numpy.sort(drawn) == pytest.approx(numpy.sort(flat.ravel()) - top, abs=1e-5)


def energy_of_espresso() -> None:
    energies = [pw(f"silicon_lattice_sweep/celldm_{a}").get_potential_energy() for a in LENGTHS]
    assert column(stretched(), "energy_sweep", "total_energy") == pytest.approx(
        energies, rel=OF_ASE
    )
    volumes = [pw(f"silicon_lattice_sweep/celldm_{a}").get_volume() for a in LENGTHS]
    assert column(stretched(), "energy_sweep", "volume") == pytest.approx(volumes, rel=1e-5)


def equation_of_state_of_espresso() -> None:
    from ase.eos import EquationOfState
    from ase.units import kJ

    images = [pw(f"silicon_lattice_sweep/celldm_{a}") for a in LENGTHS]
    volumes = [image.get_volume() for image in images]
    energies = [image.get_potential_energy() for image in images]
    volume, energy, modulus = EquationOfState(volumes, energies, "birchmurnaghan").fit()
    found = stretched()
    assert value(found, "eos_volume") == pytest.approx(volume, rel=1e-4)
    assert value(found, "eos_energy") == pytest.approx(energy, rel=OF_ASE)
    assert value(found, "bulk_modulus") == pytest.approx(modulus / kJ * 1e24, rel=5e-3)


# --- PySCF ----------------------------------------------------------------------------------------


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


def forces_of_pyscf() -> None:
    """The definition is SIESTA's, on the same columns."""
    analyses = {s: {a.name: a for a in all_software()[s].analyses} for s in ("pyscf", "siesta")}
    assert analyses["pyscf"]["forces"].compute is analyses["siesta"]["forces"].compute
    forces_of_siesta()


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


CHECKS: dict[str, dict[str, Callable[[], None]]] = {
    "siesta": {
        "convergence": convergence_of_siesta,
        "eigenvalues": eigenvalues_of_siesta,
        "forces": forces_of_siesta,
        "geometry": geometry_of_siesta,
        "relaxation": relaxation_of_siesta,
        "geometry_change": change_of_siesta,
        "dos": dos_of_siesta,
        "pdos": pdos_of_siesta,
        "bands": bands_of_siesta,
        "energy": energy_of_siesta,
        "dipole": dipole_of_siesta,
        "polarizability": polarizability_of_siesta,
        "equation_of_state": equation_of_state_of_siesta,
    },
    "espresso": {
        "convergence": convergence_of_espresso,
        "eigenvalues": eigenvalues_of_espresso,
        "forces": forces_of_espresso,
        "geometry": geometry_of_espresso,
        "relaxation": relaxation_of_espresso,
        "geometry_change": change_of_espresso,
        "bands": bands_of_espresso,
        "energy": energy_of_espresso,
        "equation_of_state": equation_of_state_of_espresso,
    },
    "pyscf": {
        "convergence": convergence_of_pyscf,
        "orbitals": orbitals_of_pyscf,
        "dipole": dipole_of_pyscf,
        "forces": forces_of_pyscf,
        "geometry": geometry_of_pyscf,
        "energy_vs_sweep": energy_of_pyscf,
        "dipole_vs_field": dipole_sweep_of_pyscf,
        "polarizability": polarizability_of_pyscf,
    },
}


@pytest.mark.parametrize(
    ("software", "analysis"), [(s, a) for s, checks in CHECKS.items() for a in checks]
)
def test_an_independent_reading_gives_the_same(software, analysis):
    CHECKS[software][analysis]()


@pytest.mark.parametrize("software", sorted(CHECKS))
def test_every_analysis_has_an_independent_check(software):
    assert set(CHECKS[software]) == {a.name for a in all_software()[software].analyses}


def test_stress_and_cell_of_pw_are_those_that_ase_reads():
    plugin = all_software()["espresso"]
    found = plugin.extract(DATA / "espresso" / "silicon_lattice_sweep/celldm_10.2")
    expected = pw("silicon_lattice_sweep/celldm_10.2")
    rows = numpy.array([column(found, "cell", axis) for axis in "xyz"]).T
    assert rows == pytest.approx(numpy.array(expected.cell), abs=1e-6)
    if found.dataset("stress") is not None:
        from ase.units import GPa

        stress = numpy.array([column(found, "stress", axis) for axis in "xyz"]).T
        assert stress.diagonal() == pytest.approx(-expected.get_stress()[:3] / GPa * 10, abs=0.02)


def test_the_stress_of_siesta_is_the_one_that_sisl_reads():
    expected = siesta("silicon_bands_dos", "output.out").read_stress()
    found = run("siesta", "silicon_bands_dos")
    stress = numpy.array([column(found, "stress", axis) for axis in "xyz"]).T
    assert stress == pytest.approx(expected, abs=1e-6)


def test_units_are_declared_for_every_number():
    """What an analysis gives, it gives in the unit that its definition declares."""
    from fnmatch import fnmatchcase

    folders = {
        "siesta": ("water_relax", "silicon_bands_dos"),
        "espresso": ("hydrogen_relax", "silicon_vc_relax", "silicon_bands", "water_scf"),
    }
    for software, names in folders.items():
        plugin = all_software()[software]
        for folder in names:
            extracted = plugin.extract(DATA / software / folder)
            of_run = [a for a in plugin.analyses if a.scope == "run"]
            for item in execute(of_run, extracted, {}):
                for quantity in item.results.quantities:
                    units = item.analysis.units
                    pattern = next((p for p in units if fnmatchcase(quantity.name, p)), None)
                    assert pattern is not None, (item.analysis.name, quantity.name)
                    assert units[pattern] == quantity.unit, quantity
