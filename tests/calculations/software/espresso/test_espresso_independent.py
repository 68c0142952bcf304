"""Every analysis of pw.x against an independent reading of the same files: `CHECKS`
names for each the check that reads its numbers another way, and one without it fails.
"""

from __future__ import annotations

import math

import numpy
import pytest

from calculations.software.registry import all_software
from tests.calculations.software.independent import (
    DATA,
    LENGTHS,
    OF_ASE,
    column,
    levels_after,
    pw,
    run,
    stretched,
    undeclared,
    value,
)


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


CHECKS = {
    "convergence": convergence_of_espresso,
    "eigenvalues": eigenvalues_of_espresso,
    "forces": forces_of_espresso,
    "geometry": geometry_of_espresso,
    "relaxation": relaxation_of_espresso,
    "geometry_change": change_of_espresso,
    "bands": bands_of_espresso,
    "energy": energy_of_espresso,
    "equation_of_state": equation_of_state_of_espresso,
}


@pytest.mark.parametrize("analysis", CHECKS)
def test_an_independent_reading_gives_the_same(analysis):
    CHECKS[analysis]()


def test_every_analysis_has_an_independent_check():
    assert set(CHECKS) == {a.name for a in all_software()["espresso"].analyses}


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


def test_every_number_has_the_unit_that_is_declared():
    assert (
        undeclared("espresso", ("hydrogen_relax", "silicon_vc_relax", "silicon_bands", "water_scf"))
        == []
    )
