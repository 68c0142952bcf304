"""What is extracted from recorded runs agrees with the files to the digit, and with sisl."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from calculations.software.siesta import Siesta
from calculations.software.siesta.files import read_bands, read_eigenvalues, read_geometry
from calculations.software.siesta.output import read_output

DATA = Path(__file__).parents[3] / "data" / "siesta"
WATER = DATA / "water_single"
SILICON = DATA / "silicon_bands_dos"
FOLDERS = sorted(path.parent for path in DATA.rglob("output.out"))


def value(results, name):
    return results.quantity(name).value


def rows(dataset):
    return list(zip(*(column.values for column in dataset.columns), strict=True))


def test_the_energies_are_those_that_were_printed():
    results = Siesta().extract(WATER)
    assert value(results, "total_energy") == -465.816187
    assert value(results, "fermi_energy") == -2.079393
    assert value(results, "scf_iterations") == 12
    assert value(results, "volume") == 1000.0
    assert value(results, "pressure") == 0.87706909
    assert results.quantity("total_energy").unit == "eV"


def test_the_dipole_is_that_which_was_printed():
    results = Siesta().extract(WATER)
    assert [value(results, f"dipole_{axis}") for axis in "xyz"] == [0.0, 1.39377, 0.0]
    assert value(results, "dipole") == pytest.approx(1.39377)


def test_the_scf_series_holds_every_iteration():
    scf = Siesta().extract(WATER).dataset("scf")
    assert len(scf.column("step").values) == 12
    assert scf.column("density_change").values[0] == 1.433377
    assert scf.column("hamiltonian_change").values[-1] == 0.000726
    assert scf.column("energy").values[-1] == -465.816187


def test_the_forces_are_those_of_the_file():
    table = Siesta().extract(WATER).dataset("forces")
    lines = (WATER / "water.FA").read_text().splitlines()[1:]
    assert [row[2:5] for row in rows(table)] == [
        tuple(float(word) for word in line.split()[1:]) for line in lines
    ]
    assert table.column("symbol").values == ("O", "H", "H")


def test_forces_come_from_the_output_where_the_file_is_absent(tmp_path):
    (tmp_path / "output.out").write_bytes((WATER / "output.out").read_bytes())
    table = Siesta().extract(tmp_path).dataset("forces")
    assert rows(table)[0][3] == -0.699685


def test_the_eigenvalues_frame_the_gap():
    results = Siesta().extract(WATER)
    words = (WATER / "water.EIG").read_text().split()
    energies = [float(word) for word in words[5:]]
    assert list(results.dataset("eigenvalues").column("energy").values) == energies
    assert value(results, "homo") == energies[3]
    assert value(results, "lumo") == energies[4]
    assert value(results, "gap") == pytest.approx(energies[4] - energies[3])


def test_a_metal_has_no_gap(tmp_path):
    (tmp_path / "x.EIG").write_text("0.0\n 3 1 2\n 1 -2.0 -1.0 1.0\n 2 -2.0 0.5 1.0\n")
    found = read_eigenvalues(tmp_path / "x.EIG")
    assert (found.metallic, found.gap, found.homo) == (True, 0.0, None)


def test_two_spins_are_told_apart(tmp_path):
    (tmp_path / "x.EIG").write_text("0.0\n 2 2 1\n 1 -2.0 1.0\n -1.5 2.0\n")
    found = read_eigenvalues(tmp_path / "x.EIG")
    assert [level.energies for level in found.levels] == [(-2.0, 1.0), (-1.5, 2.0)]
    assert (found.homo, found.lumo, found.metallic) == (-1.5, 1.0, False)


def test_a_relaxation_is_followed_step_by_step():
    steps = Siesta().extract(DATA / "water_relax").dataset("geometry_steps")
    assert len(steps.column("geometry").values) == 9
    assert steps.column("iterations").values == (12, 10, 10, 6, 6, 6, 6, 6, 5)
    assert steps.column("max_force").values[-1] == 0.023421
    scf = Siesta().extract(DATA / "water_relax").dataset("scf")
    assert sum(steps.column("iterations").values) == len(scf.column("step").values)


def test_the_final_geometry_is_that_of_the_output():
    results = Siesta().extract(DATA / "water_relax")
    printed = read_output(DATA / "water_relax" / "output.out").coordinates
    for row, (symbol, *xyz) in zip(rows(results.dataset("geometry")), printed, strict=True):
        assert row[1] == symbol
        assert row[2:] == pytest.approx(xyz, abs=2e-8)


def test_bands_and_density_of_states_are_complete():
    results = Siesta().extract(SILICON)
    dos = results.dataset("dos")
    printed = [line.split() for line in (SILICON / "si.DOS").read_text().splitlines()]
    assert rows(dos) == [tuple(float(word) for word in words) for words in printed]
    bands = results.dataset("bands")
    assert sum(energy is not None for energy in bands.column("energy").values) == 18 * 41
    assert bands.column("energy").values[0] == -14.1483
    assert rows(results.dataset("band_labels")) == [
        (0.0, "L"),
        (0.530288, "Gamma"),
        (1.142611, "X"),
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_results_are_small_and_the_same_each_time(folder):
    first, second = Siesta().extract(folder), Siesta().extract(folder)
    assert first == second
    text = json.dumps(first.to_json(), allow_nan=False)
    assert len(text) < 200_000
    names = [item.name for item in (*first.quantities, *first.datasets)]
    assert len(names) == len(set(names))


def test_a_run_that_failed_early_gives_what_there_is():
    results = Siesta().extract(DATA / "bad_keyword_block")
    assert [quantity.name for quantity in results.quantities] == ["program_version"]
    assert results.datasets == ()


def test_a_huge_output_stays_small(tmp_path):
    head = "iscf     Eharris(eV)        E_KS(eV)     FreeEng(eV)     dDmax    Ef(eV) dHmax(eV)\n"
    with (tmp_path / "output.out").open("w") as file:
        for move in range(3000):
            file.write(f"                        Begin CG opt. move = {move:6d}\n{head}")
            for step in range(1, 6):
                file.write(f"   scf: {step:4d}  -1.000000  -1.000000  -1.000000  0.1{step:05d}")
                file.write("  0.000000  0.000000\n")
            file.write(f"SCF cycle converged after 5 iterations\nsiesta: E_KS(eV) = {-move}.0\n")
    results = Siesta().extract(tmp_path)
    assert len(json.dumps(results.to_json())) < 1_000_000
    assert value(results, "geometries") == 3000
    steps = results.dataset("geometry_steps").column("energy").values
    assert (steps[0], steps[-1]) == (0.0, -2999.0)
    assert results.dataset("scf").column("step").values[-1] == 15000


@pytest.mark.parametrize("folder", [WATER, DATA / "water_relax", SILICON], ids=lambda p: p.name)
def test_sisl_reads_the_same_files_alike(folder):
    sisl = pytest.importorskip("sisl")
    eig = next(folder.glob("*.EIG"))
    levels = sisl.get_sile(eig).read_data()
    fermi = sisl.get_sile(eig).read_fermi_level()
    ours = read_eigenvalues(eig)
    assert ours.fermi == pytest.approx(fermi)
    for level in ours.levels:
        shifted = [energy - fermi for energy in level.energies]
        expected = levels[level.spin - 1, level.k - 1]
        difference = min(max(abs(expected - level.energies)), max(abs(expected - shifted)))
        assert difference < 1e-6
    forces = sisl.get_sile(next(folder.glob("*.FA"))).read_force()
    table = Siesta().extract(folder).dataset("forces")
    for row, expected in zip(rows(table), forces, strict=True):
        assert row[2:5] == pytest.approx(tuple(expected), abs=1e-9)
    geometry = sisl.get_sile(next(folder.glob("*.XV"))).read_geometry()
    found = read_geometry(next(folder.glob("*.XV")))
    for atom, expected in zip(found.atoms, geometry.xyz, strict=True):
        assert atom[1:] == pytest.approx(tuple(expected), abs=1e-5)


def test_sisl_reads_the_same_energies():
    sisl = pytest.importorskip("sisl")
    energies = sisl.get_sile(str(WATER / "output.out"), cls=sisl.io.siesta.stdoutSileSiesta)
    assert energies.read_energy()["total"] == pytest.approx(-465.816187)


def test_the_bands_lie_within_the_window_that_the_file_names():
    bands = read_bands(SILICON / "si.bands")
    words = re.split(r"\s+", (SILICON / "si.bands").read_text().strip())
    low, high = float(words[3]), float(words[4])
    flat = [energy for spin in bands.energies for band in spin for energy in band]
    assert min(flat) == pytest.approx(low, abs=1e-4)
    assert max(flat) == pytest.approx(high, abs=1e-4)
