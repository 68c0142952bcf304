"""Analyses of recorded runs: a chain of five fields, and what is computed from one run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from calculations.software.base import NotComputable
from calculations.software.execution import execute, execute_across
from calculations.software.graph import order_analyses
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
    chosen = [analysis for analysis in Siesta.analyses if analysis.scope == "run"]
    for item in execute(chosen, results, parameters):
        assert item.status != "failed", item.problem
        results = results + item.results
    return results


def stretched_silicon():
    """Silicon with every length changed by some percent, and energies as of a spring."""
    siesta = Siesta()
    base = siesta.extract(DATA / "silicon_bands_dos")
    runs = []
    for percent in (-2, -1, 0, 1, 2):
        scale = 1 + percent / 100
        tables = []
        for name in ("cell", "geometry"):
            table = base.dataset(name)
            columns = [
                replace(c, values=tuple(v * scale for v in c.values)) if c.name in "xyz" else c
                for c in table.columns
            ]
            tables.append(replace(table, columns=tuple(columns)))
        volume = base.quantity("volume").value * scale**3
        numbers = (
            Quantity("volume", "", volume, "Å³"),
            Quantity("total_energy", "", -215.0 + (percent - 0.5) ** 2 / 100, "eV"),
        )
        runs.append(({"stretch": scale}, Results(numbers, tuple(tables))))
    return runs


def test_siesta_has_an_equation_of_state_of_stretched_cells():
    found = ANALYSES["equation_of_state"].compute(stretched_silicon())
    base = Siesta().extract(DATA / "silicon_bands_dos").quantity("volume").value
    assert found.quantity("eos_volume").value == pytest.approx(base * 1.005**3, rel=1e-4)
    assert found.quantity("eos_stretch").value == pytest.approx(1.005, rel=1e-4)
    assert found.quantity("bulk_modulus").value > 0


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
    for runs in (cutoffs, chain[:1], []):
        with pytest.raises(NotComputable, match="vary the electric field"):
            compute(runs)


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
    assert max(value for value in structure if value is not None and value <= 0) == 0.0


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
    across = [analysis for analysis in Siesta.analyses if analysis.scope == "calculation"]
    for item in execute_across(across, chain, troubled={}):
        results = results + item.results
    for item in execute_across(across, stretched_silicon(), troubled={}):
        results = results + item.results
    charts = [chart for analysis in Siesta.analyses for chart in analysis.charts]
    of_dynamics = {"dynamics"}  # there is no recorded run of them
    for chart in (*charts, *(c for c in Siesta.charts if c.dataset not in of_dynamics)):
        dataset = results.dataset(chart.dataset)
        names = {column.name for column in dataset.columns}
        assert {chart.x, *chart.y} - {"dos_up", "dos_down", "*"} <= names


def test_analyses_of_nothing_say_what_they_miss():
    for analysis in order_analyses(Siesta.analyses, list(ANALYSES)):
        arguments = (Results(), {}) if analysis.scope == "run" else ([],)
        with pytest.raises(NotComputable, match=r"\w"):
            analysis.compute(*arguments)
