"""What a scientist may enter for PySCF, how runs are judged, and what is read and computed."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from calculations.software.base import NotComputable, Resources
from calculations.software.graph import order_analyses
from calculations.software.parameters import InvalidParameters
from calculations.software.pyscf import PySCF
from calculations.software.results import Exit, Quantity, Results, Verdict

PLUGIN = PySCF()
LOG = """PySCF 2.14.0: PBE/def2-svp
scf    1  E = -76.2000000000 Ha  dE = -1.000e-01  |g| = 1.000e-01
scf    2  E = -76.3000000000 Ha  dE = -1.000e-02  |g| = 1.000e-02
"""
ORBITALS = [
    {"spin": "both", "energy": -20.0, "occupation": 2.0},
    {"spin": "both", "energy": -6.0, "occupation": 2.0},
    {"spin": "both", "energy": 1.0, "occupation": 0.0},
]
STEPS = [
    {"iteration": 1, "energy": -76.2, "change": -0.1, "gradient": 0.1},
    {"iteration": 2, "energy": -76.3, "change": -0.01, "gradient": 0.01},
]


def results(**changes: Any) -> dict[str, Any]:
    return {
        "energy": -76.3,
        "converged": True,
        "iterations": STEPS,
        "dipole": [0.0, -1e-15, 1.936],
        "charges": [{"symbol": "O", "charge": -0.3}, {"symbol": "H", "charge": 0.3}],
        "orbitals": ORBITALS,
        "forces": None,
        "basis_functions": 24,
        "electrons": 10,
        "started_from": "atoms",
        "versions": {"pyscf": "2.14.0"},
        **changes,
    }


def finished(folder: Path, document: Any = None, log: str = LOG, errors: str = "") -> Path:
    (folder / "output.out").write_text(log)
    (folder / "stderr.txt").write_text(errors)
    if document is not None:
        text = document if isinstance(document, str) else json.dumps(document)
        (folder / "results.json").write_text(text)
    return folder


def test_the_defaults_are_a_calculation_of_water() -> None:
    values = PLUGIN.check({})
    files = PLUGIN.prepare(values)
    given = json.loads(files["input.json"])
    assert [symbol for symbol, _ in given["atoms"]] == ["O", "H", "H"]
    assert (given["functional"], given["basis"], given["field"]) == ("PBE", "def2-svp", [0, 0, 0])
    assert files == PLUGIN.prepare(values)
    ast.parse(files["run_pyscf.py"])
    assert PLUGIN.command(values, Resources(), {"python": "/opt/py"}) == ["/opt/py", "run_pyscf.py"]


def test_the_program_of_a_run_imports_nothing_of_the_portal() -> None:
    tree = ast.parse(PLUGIN.prepare(PLUGIN.check({}))["run_pyscf.py"])
    modules = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not {name for name in modules if name and name.startswith(("calculations", "clusters"))}


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"geometry": "Xx 0 0 0"}, "geometry", "not a chemical symbol"),
        ({"charge": 10}, "charge", "no electron"),
        ({"charge": 1}, "spin", "must be an odd number"),
        ({"spin": 1}, "spin", "must be an even number"),
        ({"spin": 12}, "spin", "more than the 10 electrons"),
        ({"forces": True, "field_z": 0.01}, "forces", "under an electric field"),
        ({"basis": "def3"}, "basis", "is not one of"),
        ({"field_z": 1}, "field_z", "above the largest"),
    ],
)
def test_what_cannot_be_calculated_is_refused_with_the_reason(
    values: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidParameters) as refused:
        PLUGIN.check(values)
    assert words in refused.value.errors[field]


@pytest.mark.parametrize(
    ("exit", "document", "errors", "verdict", "code"),
    [
        (Exit(0), results(), "", Verdict.VALID, "converged"),
        (Exit(0), results(converged=False), "", Verdict.NOT_VALID, "scf_not_converged"),
        (Exit(0), None, "", Verdict.FAILED, "no_results"),
        (Exit(0), '{"energy": -76.', "", Verdict.FAILED, "no_results"),
        (Exit(0), "[]", "", Verdict.FAILED, "no_results"),
        (Exit(0), {"energy": -76.3}, "", Verdict.FAILED, "no_results"),
        (Exit(0), results(energy=None), "", Verdict.NOT_VALID, "not_finite"),
        (Exit(0), results(energy=float("nan")), "", Verdict.NOT_VALID, "not_finite"),
        (Exit(1), results(), "Boom: no basis\n", Verdict.FAILED, "program_error"),
        (Exit(1), None, "MemoryError: x", Verdict.FAILED, "out_of_memory"),
        (Exit(137, 9), None, "", Verdict.FAILED, "killed"),
        (Exit(143, 15, timed_out=True), None, "", Verdict.FAILED, "walltime"),
        (Exit(None, cancelled=True), None, "", Verdict.FAILED, "cancelled"),
        (
            Exit(2),
            None,
            "the carried density matrix is 2 x 2, this run needs 24 x 24: basis differs",
            Verdict.FAILED,
            "carried_density_does_not_fit",
        ),
    ],
)
def test_each_end_has_its_verdict(
    tmp_path: Path, exit: Exit, document: Any, errors: str, verdict: Verdict, code: str
) -> None:
    outcome = PLUGIN.judge(finished(tmp_path, document, errors=errors), exit)
    assert (outcome.verdict, outcome.code) == (verdict, code)
    assert outcome.evidence[0].startswith("exit code")
    assert outcome.remedy or verdict is Verdict.VALID


def test_the_last_line_of_standard_error_is_quoted(tmp_path: Path) -> None:
    outcome = PLUGIN.judge(finished(tmp_path, errors="Traceback\n  x\nKeyError: 'Q'\n"), Exit(1))
    assert "KeyError: 'Q'" in outcome.message
    assert "KeyError: 'Q' (stderr.txt)" in outcome.evidence


def test_an_empty_folder_is_judged_too(tmp_path: Path) -> None:
    assert PLUGIN.judge(tmp_path, Exit(0)).code == "no_results"
    assert PLUGIN.extract(tmp_path) == Results()


def test_what_is_read_of_a_finished_run(tmp_path: Path) -> None:
    found = PLUGIN.extract(finished(tmp_path, results()))
    values = {quantity.name: quantity.value for quantity in found.quantities}
    assert values["total_energy"] == pytest.approx(-76.3 * 27.211386245988)
    assert values["total_energy_hartree"] == -76.3
    assert values["dipole_y"] == 0.0
    assert values["dipole"] == 1.936
    assert (values["homo"], values["lumo"], values["gap"]) == (-6.0, 1.0, 7.0)
    assert values["scf_iterations"] == 2
    assert [dataset.name for dataset in found.datasets] == ["scf", "orbitals", "charges"]
    assert Results.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize("length", range(0, 400, 13))
def test_results_that_are_cut_anywhere_never_raise(tmp_path: Path, length: int) -> None:
    text = json.dumps(results())
    folder = finished(tmp_path, text[: length % len(text)], log=LOG[: length % len(LOG)])
    PLUGIN.extract(folder)
    assert PLUGIN.judge(folder, Exit(0)).verdict is not Verdict.VALID


def test_a_run_that_was_cut_short_still_has_its_iterations(tmp_path: Path) -> None:
    found = PLUGIN.extract(finished(tmp_path))
    dataset = found.dataset("scf")
    assert dataset is not None
    assert dataset.column("gradient").values == (0.1, 0.01)


def test_progress_is_the_last_iteration() -> None:
    progress = PLUGIN.progress(LOG)
    assert progress is not None
    assert (progress.done, progress.what, progress.monitor) == (2, "SCF iteration", 0.01)
    assert PLUGIN.progress("nothing yet") is None


def test_run_analyses_follow_from_what_was_read(tmp_path: Path) -> None:
    known = PLUGIN.extract(finished(tmp_path, results()))
    values = PLUGIN.check({"field_z": 0.01})
    for analysis in order_analyses(PLUGIN.analyses, [a.name for a in PLUGIN.analyses]):
        if analysis.scope == "run" and not analysis.lacks(values, ()):
            known += analysis.compute(known, values)
            for chart in analysis.charts:
                dataset = known.dataset(chart.dataset)
                assert dataset is not None
                assert {chart.x, *chart.y} <= {column.name for column in dataset.columns}
    found = {quantity.name: quantity.value for quantity in known.quantities}
    assert found["scf_rate"] == pytest.approx(1.0)
    assert found["dipole_atomic"] == pytest.approx(1.936 / 2.541746473)
    assert found["dipole_along_field"] == pytest.approx(1.936)
    assert found["mid_gap"] == -2.5


def sweep(*points: tuple[float, float], name: str = "field_z") -> list[Any]:
    return [
        (
            PLUGIN.check({name: field}),
            Results(
                (
                    Quantity("total_energy", "Total energy", -76.0, "eV"),
                    Quantity("dipole_z", "Dipole, z", dipole, "Debye"),
                )
            ),
        )
        for field, dipole in points
    ]


def compute(name: str, runs: list[Any]) -> Results:
    return next(a for a in PLUGIN.analyses if a.name == name).compute(runs)


def test_the_polarizability_is_the_slope_of_the_dipole() -> None:
    slope = 5.0  # a.u.
    points = [(0.01 * i, 1.9 + slope * 2.541746473 * 0.01 * i) for i in range(4)]
    found = {q.name: q.value for q in compute("polarizability", sweep(*points)).quantities}
    assert found["polarizability"] == pytest.approx(slope)
    assert found["polarizability_volume"] == pytest.approx(slope * 0.529177210903**3, rel=1e-6)
    assert found["dipole_at_zero_field"] == pytest.approx(1.9)


@pytest.mark.parametrize("name", ["polarizability", "dipole_vs_field"])
def test_without_a_swept_field_there_is_no_response(name: str) -> None:
    for runs in (sweep((0.0, 1.9)), sweep((0, 1.9), (2, 1.9), name="charge")):
        with pytest.raises(NotComputable):
            compute(name, runs)


def test_the_energy_is_tabulated_against_what_was_varied() -> None:
    found = compute("energy_vs_sweep", sweep((0.02, 2.1), (0.0, 1.9)))
    assert found.datasets[0].columns[0].values == (0.0, 0.02)


def test_the_response_needs_the_dipole() -> None:
    chosen = order_analyses(PLUGIN.analyses, ["polarizability", "dipole"])
    assert [analysis.name for analysis in chosen] == ["dipole", "polarizability"]
