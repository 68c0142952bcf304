"""Quantities and datasets of recorded runs of pw.x 6.7, to the digits that are printed."""

from __future__ import annotations

import json
import math

import pytest

from calculations.software.espresso.report import BOHR_IN_ANGSTROM, RYDBERG_IN_EV
from calculations.software.results import Progress, Results
from tests.calculations.software.espresso.recorded import DATA, ESPRESSO


def extracted(name: str) -> Results:
    return ESPRESSO.extract(DATA / name)


def value(results: Results, name: str):
    return results.quantity(name).value


def column(results: Results, dataset: str, name: str) -> tuple:
    return results.dataset(dataset).column(name).values


def test_the_energy_of_water_is_printed_to_eight_digits():
    water = extracted("water_scf")
    assert value(water, "total_energy_ry") == -34.25004787
    # The value that ASE 3.23 reads from this output.
    assert value(water, "total_energy") == pytest.approx(-465.9956, abs=1e-4)
    assert water.quantity("total_energy").unit == "eV"
    assert value(water, "scf_iterations") == 10
    assert value(water, "scf_accuracy") == 9e-8
    assert value(water, "homo") == -6.7515
    assert water.quantity("lumo") is None
    assert value(water, "electrons") == 8
    assert value(water, "program_version") == "6.7MaX"
    assert value(water, "started_from") == "atoms"
    assert value(water, "wall_time") == 0.84
    assert value(water, "volume") == pytest.approx(1728 * BOHR_IN_ANGSTROM**3, abs=1e-6)
    assert ESPRESSO.main_result == "total_energy"


def test_forces_are_those_of_the_output_in_other_units():
    water = extracted("water_scf")
    factor = RYDBERG_IN_EV / BOHR_IN_ANGSTROM
    printed = [-0.03364598, 0.01682299, 0.01682299]
    assert column(water, "forces", "y") == pytest.approx([p * factor for p in printed], abs=1e-8)
    assert column(water, "forces", "symbol") == ("O", "H", "H")
    assert value(water, "max_force") == pytest.approx(0.03364598 * factor, abs=1e-8)
    assert value(water, "total_force") == pytest.approx(0.054546 * factor, abs=1e-8)
    norm = math.hypot(0.02527082, 0.01682299) * factor
    assert column(water, "forces", "norm")[1] == pytest.approx(norm, abs=1e-7)


def test_the_geometry_comes_back_in_angstrom():
    water = extracted("water_scf")
    assert column(water, "geometry", "symbol") == ("O", "H", "H")
    assert column(water, "geometry", "x") == pytest.approx((0.0, 0.757, -0.757), abs=1e-6)
    assert column(water, "cell", "x")[0] == pytest.approx(12 * BOHR_IN_ANGSTROM, abs=1e-7)


def test_the_scf_table_holds_each_iteration():
    water = extracted("water_scf")
    assert column(water, "scf", "step") == tuple(range(1, 11))
    accuracies = column(water, "scf", "accuracy")
    assert (accuracies[0], accuracies[7], accuracies[9]) == (0.46740968, 0.00000029, 0.00000009)
    assert column(water, "scf", "energy")[0] == pytest.approx(-34.05946180 * RYDBERG_IN_EV)
    terms = dict(zip(*(c.values for c in water.dataset("energy_terms").columns), strict=True))
    assert terms["Hartree contribution"] == pytest.approx(27.87370874 * RYDBERG_IN_EV)
    assert sum(terms.values()) == pytest.approx(value(water, "total_energy"), abs=1e-6)


def test_hydrogen_relaxes_in_four_geometries():
    hydrogen = extracted("hydrogen_relax")
    assert value(hydrogen, "geometries") == 4
    assert value(hydrogen, "scf_iterations_total") == 17
    assert value(hydrogen, "total_energy_ry") == -2.252146
    z = column(hydrogen, "geometry", "z")
    assert z == (0.04053523, 0.85946477)
    energies = column(hydrogen, "geometry_steps", "energy")
    printed = (-2.24758716, -2.25172057, -2.25211277, -2.25214600)
    assert energies == pytest.approx([p * RYDBERG_IN_EV for p in printed])
    factor = RYDBERG_IN_EV / BOHR_IN_ANGSTROM
    largest = [p * factor for p in (0.05476990, 0.01866901, 0.00555250, 0.00039630)]
    assert column(hydrogen, "geometry_steps", "max_force") == pytest.approx(largest, abs=1e-8)


def test_an_optimised_cell_is_that_of_the_end():
    silicon = extracted("silicon_vc_relax")
    assert value(silicon, "total_energy_ry") == -15.8219932
    assert value(silicon, "pressure") == 1.66
    edge = 0.506882583 * 10 * BOHR_IN_ANGSTROM
    assert column(silicon, "cell", "z")[0] == pytest.approx(edge, abs=1e-6)
    assert value(silicon, "volume") == pytest.approx(2 * edge**3, rel=1e-6)
    assert column(silicon, "stress", "x") == (1.66, 0.0, 0.0)
    # The last SCF has other plane waves: its energy is not one of the steps.
    assert len(column(silicon, "geometry_steps", "energy")) == 4


@pytest.mark.parametrize(
    ("celldm", "energy", "pressure"),
    [
        (10.0, -15.84397989, 57.84),
        (10.1, -15.84661827, 24.25),
        (10.2, -15.84754593, -5.41),
        (10.3, -15.84700491, -31.41),
        (10.4, -15.84512702, -54.03),
    ],
)
def test_the_lattice_sweep_has_its_known_energies(celldm, energy, pressure):
    silicon = extracted(f"silicon_lattice_sweep/celldm_{celldm}")
    assert value(silicon, "total_energy_ry") == energy
    cube = (celldm * BOHR_IN_ANGSTROM) ** 3 / 4
    assert value(silicon, "volume") == pytest.approx(cube, abs=1e-4)
    assert value(silicon, "pressure") == pressure


def test_levels_are_told_occupied_from_empty():
    silicon = extracted("silicon_bands")
    assert (value(silicon, "homo"), value(silicon, "lumo")) == (5.9518, 7.0697)
    assert value(silicon, "gap") == pytest.approx(1.1179)
    assert len(column(silicon, "eigenvalues", "energy")) == 10 * 8
    assert sum(column(silicon, "eigenvalues", "occupied")) == 10 * 4
    assert column(silicon, "eigenvalues", "energy")[:4] == (-5.6079, 4.6413, 5.9518, 5.9518)


def test_bands_run_along_the_path_and_name_its_corners():
    silicon = extracted("silicon_bands")
    distances = column(silicon, "bands", "distance")
    assert len(distances) == 8 * 41 + 7
    assert distances[41] is None
    unit = 2 * math.pi / 10.2
    assert distances[20] == pytest.approx(math.sqrt(3) / 2 * unit, abs=1e-5)
    assert distances[40] == pytest.approx((math.sqrt(3) / 2 + 1) * unit, abs=1e-5)
    energies = column(silicon, "bands", "energy")
    assert energies[:1] == (-3.4230,)
    assert (energies[40], energies[42 * 4 + 40]) == (-1.6024, 6.8813)
    corners = silicon.dataset("band_labels")
    assert corners.column("distance").values == pytest.approx((0, distances[20], distances[40]))
    assert corners.column("label").values[0] == "0.500 0.500 0.500"


def test_corners_have_the_names_that_the_portal_wrote(tmp_path):
    (tmp_path / "output.out").write_bytes((DATA / "silicon_bands" / "output.out").read_bytes())
    text = (DATA / "silicon_bands" / "bands.in").read_text()
    (tmp_path / "bands.in").write_text(text.replace("0.500 20", "0.500 20 ! L"))
    assert ESPRESSO.extract(tmp_path).dataset("band_labels").column("label").values[0] == "L"
    (tmp_path / "bands.in").write_text(text.replace("0.500 20", "0.500 9999"))
    assert ESPRESSO.extract(tmp_path).dataset("band_labels") is None


def test_a_run_that_did_not_converge_has_no_energy():
    water = extracted("water_scf_not_converged")
    assert water.quantity("total_energy") is None
    assert len(column(water, "scf", "step")) == 3


def test_progress_follows_iterations_and_steps():
    text = (DATA / "water_scf" / "output.out").read_text()
    part = text[: text.index("iteration #  8")]
    assert ESPRESSO.progress(part) == Progress(7, None, "SCF iteration", 0.00006613)
    relaxing = (DATA / "hydrogen_relax" / "output.out").read_text()
    tail = relaxing[: relaxing.rindex("iteration #  3")][-8000:]
    assert ESPRESSO.progress(tail) == Progress(2, None, "SCF iteration, BFGS step 3", 7e-8)
    bands = (DATA / "silicon_bands" / "output.out").read_text()
    assert ESPRESSO.progress(bands).what.startswith("bands")
    assert ESPRESSO.progress("nothing yet") is None
    assert ESPRESSO.progress("iteration #  3\n estimated scf accuracy < ****** Ry").monitor is None


TIMES = [("0.80s CPU      0.84s WALL", 0.84), ("1m 2.50s CPU 1m 5.25s WALL", 65.25)]


@pytest.mark.parametrize(
    ("said", "seconds"), [*TIMES, ("1h 2m CPU   1h 3m WALL", 3780), ("1d 1h CPU 1d 2h WALL", 93600)]
)
def test_times_of_any_length_are_read(tmp_path, said, seconds):
    (tmp_path / "output.out").write_text(f"     PWSCF        :  {said}\n")
    assert value(ESPRESSO.extract(tmp_path), "wall_time") == seconds


def test_a_metal_has_no_gap_and_spins_are_told_apart(tmp_path):
    (tmp_path / "output.out").write_text(
        "     End of self-consistent calculation\n\n ------ SPIN UP ------------\n\n"
        "          k = 0.0000 0.0000 0.0000 (   10 PWs)   bands (ev):\n\n    -5.0000-104.2500\n\n"
        "          k = 0.5000 0.0000-0.5000 (   10 PWs)   bands (ev):\n\n     1.0000   2.0000\n\n"
        " ------ SPIN DOWN ----------\n\n"
        "          k = 0.0000 0.0000 0.0000 (   10 PWs)   bands (ev):\n\n    -4.0000   *******\n\n"
        "     the spin up/dw Fermi energies are     0.1000    0.5000 ev\n"
        "     total magnetization       =     1.00 Bohr mag/cell\n"
    )
    found = ESPRESSO.extract(tmp_path)
    assert value(found, "gap") == 0.0
    assert value(found, "fermi_energy") == 0.5
    assert value(found, "spin_moment") == 1.0
    assert column(found, "eigenvalues", "energy") == (-5.0, -104.25, 1.0, 2.0, -4.0)
    assert column(found, "eigenvalues", "spin") == (1, 1, 1, 1, 2)


@pytest.mark.parametrize("path", sorted(DATA.rglob("output.out")), ids=lambda p: p.parent.name)
def test_results_are_plain_json_and_small(path):
    results = ESPRESSO.extract(path.parent)
    text = json.dumps(results.to_json(), allow_nan=False)
    assert Results.from_json(json.loads(text)) == results
    assert len(text) < 60_000
    names = [q.name for q in results.quantities] + [d.name for d in results.datasets]
    assert len(set(names)) == len(names)
