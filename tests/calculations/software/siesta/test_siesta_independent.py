"""Every analysis of SIESTA against an independent reading of the same files: `CHECKS`
names for each the check that reads its numbers another way, and one without it fails.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
import pytest

from calculations.software.registry import all_software
from tests.calculations.software.independent import (
    DATA,
    FIELDS,
    LENGTHS,
    across,
    column,
    in_a_field,
    pw,
    run,
    siesta,
    sisl,
    undeclared,
    value,
)


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


def stretched(target: Path, scale: float, change: float) -> Path:
    """Copy the recorded silicon with its cell and atoms multiplied by `scale` and its energies
    raised by `change` (eV), in the text that SIESTA writes.

    There is no recorded series of SIESTA over volumes: the files are one real run's, the cells are
    set, and the differences of energy are those that pw.x found for the same stretches.
    """
    folder = Path(shutil.copytree(DATA / "siesta/silicon_bands_dos", target))
    text = (folder / "output.out").read_text()

    def changed(pattern: str, of: Callable[[float], float], digits: int) -> None:
        nonlocal text
        number = r"(-?\d+\.\d+)"
        text, times = re.subn(
            rf"^({pattern}) *{number}",
            lambda found: f"{found[1]} {of(float(found[2])):.{digits}f}",
            text,
            flags=re.MULTILINE,
        )
        assert times == 1, pattern

    changed(r"siesta: E_KS\(eV\) =", lambda energy: energy + change, 4)
    changed(r"siesta:         Total =", lambda energy: energy + change, 6)
    changed(r"siesta: Cell volume =", lambda volume: volume * scale**3, 6)
    head, mark, rest = text.partition("outcell: Unit cell vectors (Ang):\n")
    lines = rest.split("\n")
    for row in range(3):
        lines[row] = "".join(f"{float(word) * scale:12.6f}" for word in lines[row].split())
    (folder / "output.out").write_text(head + mark + "\n".join(lines))
    rows = [line.split() for line in (folder / "si.XV").read_text().splitlines()]
    for place, row in enumerate(rows):
        first = 0 if place < 3 else 2  # three vectors, the number of atoms, the atoms
        for i in range(first, first + 3) if place != 3 else ():
            row[i] = f"{float(row[i]) * scale:.9f}"
    (folder / "si.XV").write_text("\n".join(" ".join(row) for row in rows) + "\n")
    return folder


def equation_of_state_of_siesta() -> None:
    """Cells and energies as sisl reads them from the same files, fitted by ASE."""
    from ase.eos import EquationOfState
    from ase.units import kJ

    energies = [pw(f"silicon_lattice_sweep/celldm_{a}").get_potential_energy() for a in LENGTHS]
    plugin = all_software()["siesta"]
    runs, read = [], []
    with TemporaryDirectory() as home:
        for length, energy in zip(LENGTHS, energies, strict=True):
            scale = length / LENGTHS[2]
            folder = stretched(Path(home, str(length)), scale, energy - energies[2])
            runs.append(({"lattice_constant": 5.43 * scale}, plugin.extract(folder)))
            crystal = sisl.io.siesta.xvSileSiesta(folder / "si.XV").read_geometry().to.ase()
            output = sisl.io.siesta.stdoutSileSiesta(folder / "output.out")
            written = (folder / "output.out").read_text().split("Unit cell vectors (Ang):\n")[1]
            cell = numpy.array([line.split() for line in written.splitlines()[:3]], dtype=float)
            assert abs(numpy.linalg.det(cell)) == pytest.approx(crystal.get_volume(), rel=1e-5)
            read.append((crystal.get_volume(), output.read_energy()["total"]))
    found = across("siesta", runs)
    volumes, known = (column(found, "equation_of_state", name) for name in ("volume", "energy"))
    computed = ~numpy.isnan(known)
    assert volumes[computed] == pytest.approx([volume for volume, _ in read], rel=1e-5)
    assert known[computed] == pytest.approx([energy for _, energy in read], abs=1e-6)
    volume, energy, modulus = EquationOfState(*zip(*read, strict=True), "birchmurnaghan").fit()
    assert value(found, "eos_volume") == pytest.approx(volume, rel=1e-4)
    assert value(found, "eos_energy") == pytest.approx(energy, abs=2e-5)
    assert value(found, "bulk_modulus") == pytest.approx(modulus / kJ * 1e24, rel=5e-3)


CHECKS = {
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
}


@pytest.mark.parametrize("analysis", CHECKS)
def test_an_independent_reading_gives_the_same(analysis):
    CHECKS[analysis]()


def test_every_analysis_has_an_independent_check():
    assert set(CHECKS) == {a.name for a in all_software()["siesta"].analyses}


def test_the_stress_of_siesta_is_the_one_that_sisl_reads():
    expected = siesta("silicon_bands_dos", "output.out").read_stress()
    found = run("siesta", "silicon_bands_dos")
    stress = numpy.array([column(found, "stress", axis) for axis in "xyz"]).T
    assert stress == pytest.approx(expected, abs=1e-6)


def test_every_number_has_the_unit_that_is_declared():
    assert undeclared("siesta", ("water_relax", "silicon_bands_dos")) == []
