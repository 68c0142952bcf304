"""Analyses of recorded runs: a chain of five fields, and what is computed from one run."""

from __future__ import annotations

from pathlib import Path

import pytest

from calculations.software.base import order_analyses
from calculations.software.results import Column, Dataset, Exit, Quantity, Results
from calculations.software.siesta import Siesta

DATA = Path(__file__).parents[3] / "data" / "siesta"
FIELDS = (0.0, 0.1, 0.2, 0.3, 0.4)
DIPOLES = (1.39377, 1.426037, 1.458176, 1.490146, 1.521951)
ANALYSES = {analysis.name: analysis for analysis in Siesta.analyses}


@pytest.fixture(scope="module")
def chain():
    siesta = Siesta()
    runs = []
    for field in FIELDS:
        folder = DATA / "water_field_sweep" / f"field_{field}"
        assert siesta.judge(folder, Exit(0)).code == "converged"
        runs.append((siesta.check({"field_y": field}), siesta.extract(folder)))
    return runs


def one_run(name):
    siesta = Siesta()
    results = siesta.extract(DATA / name)
    parameters = siesta.check({})
    for analysis in Siesta.analyses:
        if analysis.scope == "run":
            results = results + analysis.compute(results, parameters)
    return results


def test_each_later_run_of_the_chain_needs_half_the_iterations(chain):
    iterations = [results.quantity("scf_iterations").value for _, results in chain]
    assert iterations == [12, 6, 6, 6, 6]


def test_the_dipole_rises_along_the_field(chain):
    table = ANALYSES["dipole"].compute(chain).dataset("dipole_sweep")
    assert table.kind == "series"
    assert table.column("swept").values == FIELDS
    assert table.column("swept").label == "External field, y"
    assert table.column("swept").unit == "V/Å"
    assert table.column("dipole_y").values == DIPOLES


def test_the_energy_falls_along_the_field(chain):
    table = ANALYSES["energy"].compute(chain).dataset("energy_sweep")
    energies = table.column("total_energy").values
    assert energies[0] == -465.816187
    assert list(energies) == sorted(energies, reverse=True)


def test_the_polarizability_is_the_slope_of_the_dipole(chain):
    results = ANALYSES["polarizability"].compute(chain)
    mean_x, mean_y = sum(FIELDS) / 5, sum(DIPOLES) / 5
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(FIELDS, DIPOLES, strict=True))
    slope /= sum((x - mean_x) ** 2 for x in FIELDS)
    assert results.quantity("polarizability").value == pytest.approx(slope * 2.99792458, abs=1e-6)
    assert results.quantity("polarizability").value == pytest.approx(0.9607, abs=5e-4)
    assert results.quantity("polarizability").unit == "Å³"
    assert results.quantity("polarizability").label == "Polarizability, yy"
    assert results.quantity("polarizability_r2").value > 0.9999
    assert 0 < results.quantity("polarizability_error").value < 0.01
    fit = results.dataset("polarizability_fit").column("fit").values
    assert fit == pytest.approx(DIPOLES, abs=1e-3)


def test_the_order_of_the_runs_does_not_matter(chain):
    backwards = list(reversed(chain))
    for name in ("energy", "dipole", "polarizability"):
        assert ANALYSES[name].compute(backwards) == ANALYSES[name].compute(chain)


def test_no_polarizability_without_a_sweep_of_the_field(chain):
    compute = ANALYSES["polarizability"].compute
    siesta = Siesta()
    cutoffs = [
        (siesta.check({"mesh_cutoff": 100 + i}), results) for i, (_, results) in enumerate(chain)
    ]
    assert compute(cutoffs) == Results()
    assert compute(chain[:1]) == Results()
    assert compute([]) == Results()


def test_a_run_without_a_dipole_leaves_a_gap(chain):
    runs = [*chain[:4], (chain[4][0], Results())]
    table = ANALYSES["dipole"].compute(runs).dataset("dipole_sweep")
    assert table.column("dipole_y").values == (*DIPOLES[:4], None)
    assert ANALYSES["polarizability"].compute(runs).quantity("polarizability").value > 0.9


def test_convergence_gives_changes_and_a_rate():
    results = one_run("water_single")
    dataset = results.dataset("convergence")
    assert len(dataset.column("step").values) == 12
    assert dataset.column("energy_change").values[0] is None
    assert dataset.column("energy_change").values[1] == pytest.approx(465.715031 - 464.986195)
    assert 0.1 < results.quantity("scf_rate").value < 1.0


def test_convergence_does_not_compare_energies_across_geometries():
    dataset = one_run("water_relax").dataset("convergence")
    assert dataset.column("energy_change").values[12] is None


def test_levels_are_counted_from_the_fermi_level():
    results = one_run("water_single")
    levels = results.dataset("levels")
    assert levels.column("energy").values[3] == pytest.approx(-6.45846773 + 2.079393, abs=1e-5)
    assert sum(levels.column("occupied").values) == 4
    assert results.quantity("direct_gap").value == pytest.approx(8.213144, abs=1e-6)


def test_forces_are_summed_up_as_siesta_does():
    results = one_run("water_single")
    assert results.quantity("rms_force").value == pytest.approx(0.423346, abs=1e-6)
    assert results.quantity("net_force").value == pytest.approx(0.060398, abs=1e-5)


def test_silicon_has_an_indirect_gap_along_the_path():
    words = (DATA / "silicon_bands_dos" / "si.bands").read_text().split()
    fermi, table = float(words[0]), [float(word) for word in words[8 : 8 + 19 * 41]]
    energies = [value for i, value in enumerate(table) if i % 19]
    top = max(value for value in energies if value <= fermi)
    bottom = min(value for value in energies if value > fermi)
    results = one_run("silicon_bands_dos")
    assert results.quantity("band_gap").value == pytest.approx(bottom - top, abs=1e-6)
    assert results.quantity("band_gap_direct").value is False
    structure = results.dataset("band_structure").column("energy").values
    assert structure.count(None) == 17
    assert max(value for value in structure if value is not None and value <= 0) < 0.0


def test_a_band_across_the_fermi_level_leaves_no_gap():
    columns = (
        Column("distance", "", "", (0.0, 1.0)),
        Column("energy", "", "", (-1.0, 1.0)),
        Column("band", "", "", (1, 1)),
        Column("spin", "", "", (1, 1)),
    )
    fermi = Quantity("fermi_energy", "Fermi energy", 0.0, "eV")
    results = Results((fermi,), (Dataset("bands", "Bands", "series", columns),))
    assert ANALYSES["bands"].compute(results, {}).quantity("band_gap").value == 0.0


def test_the_density_of_states_is_read_off_at_the_fermi_level():
    columns = (
        Column("energy", "", "", (1.0, 2.0, 3.0)),
        Column("dos", "", "", (0.0, 4.0, 8.0)),
    )
    fermi = Quantity("fermi_energy", "Fermi energy", 2.25, "eV")
    results = Results((fermi,), (Dataset("dos", "DOS", "series", columns),))
    found = ANALYSES["dos"].compute(results, {})
    assert found.quantity("dos_at_fermi").value == 5.0
    assert found.dataset("dos_from_fermi").column("energy").values == (-1.25, -0.25, 0.75)


def test_charts_name_columns_that_exist(chain):
    results = one_run("silicon_bands_dos") + one_run("water_relax")
    for analysis in Siesta.analyses:
        if analysis.scope == "calculation":
            results = results + analysis.compute(chain)
    charts = [chart for analysis in Siesta.analyses for chart in analysis.charts]
    for chart in (*charts, *Siesta.charts):
        dataset = results.dataset(chart.dataset)
        names = {column.name for column in dataset.columns}
        assert {chart.x, *chart.y} <= names


def test_analyses_of_nothing_give_nothing():
    for analysis in order_analyses(Siesta.analyses, list(ANALYSES)):
        arguments = (Results(), {}) if analysis.scope == "run" else ([],)
        assert analysis.compute(*arguments) == Results()
