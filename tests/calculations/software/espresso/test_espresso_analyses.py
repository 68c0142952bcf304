"""What is computed from recorded runs: of one run, and of a sweep of the lattice parameter."""

from __future__ import annotations

import pytest

from calculations.software.base import NotComputable
from calculations.software.graph import order_analyses
from calculations.software.results import Column, Dataset, Quantity, Results
from tests.calculations.software.espresso.recorded import (
    DATA,
    ESPRESSO,
    SILICON,
    SWEEP,
    checked,
)

COMPUTE = {analysis.name: analysis.compute for analysis in ESPRESSO.analyses}


def of_run(analysis: str, folder: str) -> Results:
    return COMPUTE[analysis](ESPRESSO.extract(DATA / folder), {})


def one_of(analysis: str, folder: str) -> Results:
    """The same, or nothing where it says what it misses."""
    try:
        return of_run(analysis, folder)
    except NotComputable:
        return Results()


def sweep(*values: float, **more):
    return [
        (
            checked(**SILICON | more | {"celldm": value}),
            ESPRESSO.extract(DATA / f"silicon_lattice_sweep/celldm_{value}"),
        )
        for value in values or SWEEP
    ]


def value(results: Results, name: str):
    return results.quantity(name).value


def test_convergence_gains_most_of_a_decade_by_an_iteration():
    found = of_run("convergence", "water_scf")
    assert value(found, "scf_rate") == pytest.approx(0.794, abs=1e-3)
    assert len(found.dataset("convergence").column("energy_change").values) == 10


def test_levels_are_counted_from_the_highest_occupied():
    found = of_run("eigenvalues", "silicon_bands")
    levels = found.dataset("levels")
    assert max(
        energy
        for energy, occupied in zip(
            levels.column("energy").values, levels.column("occupied").values, strict=True
        )
        if occupied
    ) == pytest.approx(0.0)
    assert value(found, "direct_gap") == pytest.approx(2.7949)  # at (-3/8, 3/8, 3/8)


def test_forces_of_water_cancel():
    found = of_run("forces", "water_scf")
    assert value(found, "net_force") == pytest.approx(0.0, abs=1e-6)
    assert value(found, "rms_force") == pytest.approx(0.46748, abs=1e-5)


def test_the_bond_of_hydrogen_is_found():
    assert value(of_run("geometry", "hydrogen_relax"), "shortest_distance") == pytest.approx(
        0.8594647666 - 0.0405352334, abs=1e-6
    )


def test_neighbours_are_found_through_the_walls_of_the_cell():
    cell = Dataset(
        "cell",
        "Cell",
        "table",
        tuple(
            Column(a, a, "Å", tuple(4.0 * (i == j) for j in range(3))) for i, a in enumerate("xyz")
        ),
    )
    columns = (("symbol", ("Na", "Cl")), ("x", (0.1, 3.9)), ("y", (0.0, 0.0)), ("z", (0.0, 0.0)))
    atoms = Dataset("geometry", "", "table", tuple(Column(n, n, "", v) for n, v in columns))
    found = COMPUTE["geometry"](Results(datasets=(cell, atoms)), {})
    assert value(found, "shortest_distance") == pytest.approx(0.2)
    alone = COMPUTE["geometry"](Results(datasets=(atoms,)), {})
    assert value(alone, "shortest_distance") == pytest.approx(3.8)


def test_relaxation_shows_what_was_gained():
    found = of_run("relaxation", "hydrogen_relax")
    energies = found.dataset("relaxation").column("energy").values
    assert energies[-1] == 0.0
    assert list(energies) == sorted(energies, reverse=True)
    assert value(found, "energy_gained") == pytest.approx(0.062026, abs=1e-6)
    with pytest.raises(NotComputable, match="switch the optimisation on"):
        of_run("relaxation", "water_scf")


def test_silicon_has_an_indirect_gap_between_gamma_and_x():
    found = of_run("bands", "silicon_bands")
    # Highest level of band 4 and lowest of band 5 in bands.out; Γ is not among the k-points of
    # the self-consistent step, whose highest level is 0.29 eV lower.
    assert value(found, "valence_top") == 6.2461
    assert value(found, "band_gap") == pytest.approx(0.4979)
    assert value(found, "band_gap_direct") is False
    energies = found.dataset("band_structure").column("energy").values
    assert max(e for e in energies[: 4 * 42] if e is not None) == 0.0


def test_a_band_through_the_fermi_level_leaves_no_gap():
    heads = ("distance", "energy", "band", "spin")
    rows = [(0.0, -1.0, 1, 1), (1.0, 2.0, 1, 1)]
    bands = Dataset(
        "bands",
        "Bands",
        "series",
        tuple(Column(h, h, "", tuple(row[i] for row in rows)) for i, h in enumerate(heads)),
    )
    metal = Results((Quantity("fermi_energy", "Fermi energy", 0.5, "eV"),), (bands,))
    found = COMPUTE["bands"](metal, {})
    assert value(found, "band_gap") == 0.0
    assert found.dataset("band_structure").column("energy").values == (-1.5, 1.5)


def test_the_energy_of_the_sweep_is_least_near_10_2():
    found = COMPUTE["energy"](sweep()).dataset("energy_sweep")
    energies = found.column("total_energy").values
    assert found.columns[0].values == SWEEP
    assert found.columns[0].unit == "Bohr"
    assert SWEEP[energies.index(min(energies))] == 10.2


def test_the_equation_of_state_of_silicon():
    found = COMPUTE["equation_of_state"](sweep())
    assert value(found, "eos_celldm") == pytest.approx(10.2, abs=0.02)
    assert value(found, "eos_volume") == pytest.approx(39.44, abs=0.01)
    assert value(found, "eos_energy") == pytest.approx(-215.61707, abs=1e-5)
    # LDA is known to give 96 GPa; few plane waves leave a little noise.
    assert value(found, "bulk_modulus") == pytest.approx(96, abs=4)
    assert 3 < value(found, "bulk_modulus_derivative") < 6
    curve = found.dataset("equation_of_state")
    volumes = curve.column("volume").values
    assert list(volumes) == sorted(volumes)
    assert sum(energy is not None for energy in curve.column("energy").values) == 5
    points = zip(curve.column("energy").values, curve.column("fit").values, strict=True)
    assert max(abs(e - f) for e, f in points if e is not None) < 2e-4


def test_the_order_of_the_runs_is_of_no_account():
    assert COMPUTE["equation_of_state"](sweep(10.3, 10.0, 10.4, 10.2, 10.1)) == (
        COMPUTE["equation_of_state"](sweep())
    )


def test_a_sweep_of_the_scale_gives_the_same_volume():
    runs = [
        (checked(**SILICON | {"celldm": 10.2, "scale": v / 10.2}), results)
        for v, (_, results) in zip(SWEEP, sweep(), strict=True)
    ]
    found = COMPUTE["equation_of_state"](runs)
    assert value(found, "eos_volume") == pytest.approx(39.44, abs=0.01)
    assert value(found, "eos_scale") == pytest.approx(10.2109 / 10.2, abs=1e-4)


def test_a_minimum_outside_of_the_sweep_is_not_reported_as_one():
    found = COMPUTE["equation_of_state"](sweep(10.0, 10.1, 10.2))
    assert found.quantity("bulk_modulus") is None
    assert value(found, "eos_minimum").endswith("add larger ones")
    assert found.dataset("equation_of_state") is not None


def in_box(edge: float, length: float) -> Results:
    """Two atoms, `length` apart in a cubic box."""
    rows = tuple(tuple(edge * (i == j) for j in range(3)) for i in range(3))
    cell = tuple(Column(a, a, "Å", tuple(r[i] for r in rows)) for i, a in enumerate("xyz"))
    places = (("symbol", ("H", "H")), ("x", (0.0, length)), ("y", (0.0, 0.0)), ("z", (0.0, 0.0)))
    atoms = tuple(Column(name, name, "", values) for name, values in places)
    numbers = (
        Quantity("volume", "", edge**3, "Å³"),
        Quantity("total_energy", "", (edge - 5.0) ** 2, "eV"),
    )
    tables = (Dataset("cell", "", "table", cell), Dataset("geometry", "", "table", atoms))
    return Results(numbers, tables)


def test_a_box_that_grows_around_a_molecule_has_no_equation_of_state():
    edges = (4.8, 4.9, 5.0, 5.1, 5.2)
    compute = COMPUTE["equation_of_state"]
    molecule = [({"celldm": edge}, in_box(edge, 0.74)) for edge in edges]
    with pytest.raises(NotComputable, match="do not stretch a whole crystal"):
        compute(molecule)
    crystal = [({"celldm": edge}, in_box(edge, edge / 2)) for edge in edges]
    assert value(compute(crystal), "eos_celldm") == pytest.approx(5.0, abs=2e-3)


def test_two_volumes_are_too_few_for_an_equation_of_state():
    for runs in (sweep(10.0, 10.1), []):
        with pytest.raises(NotComputable, match="fewer than 3 valid runs"):
            COMPUTE["equation_of_state"](runs)


@pytest.mark.parametrize("analysis", ESPRESSO.analyses, ids=lambda a: a.name)
def test_what_finds_nothing_says_what_it_misses(analysis):
    arguments = (Results(), {}) if analysis.scope == "run" else ([],)
    with pytest.raises(NotComputable, match=r"\w"):
        analysis.compute(*arguments)


def test_charts_name_columns_that_there_are():
    folders = ("hydrogen_relax", "silicon_bands")
    for analysis in order_analyses(ESPRESSO.analyses, [a.name for a in ESPRESSO.analyses]):
        if analysis.scope == "run":
            found = [one_of(analysis.name, folder) for folder in folders]
        else:
            found = [analysis.compute(sweep())]
        for chart in analysis.charts:
            dataset = next(r.dataset(chart.dataset) for r in found if r.dataset(chart.dataset))
            for name in (chart.x, *chart.y):
                dataset.column(name)
    extracted = ESPRESSO.extract(DATA / "hydrogen_relax")
    for chart in ESPRESSO.charts:
        for name in (chart.x, *chart.y):
            extracted.dataset(chart.dataset).column(name)
