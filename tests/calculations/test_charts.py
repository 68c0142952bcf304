"""What is drawn of a calculation: across runs, runs over each other, and one run alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from calculations.charts import MOST_RUNS, Place, Spec, Stored, charts_of, documents, specs
from calculations.models import Calculation, Dataset, Run
from calculations.services.sweeps import axes_of
from calculations.software.parameters import Kind, Parameter
from calculations.software.registry import get_software
from calculations.software.results import Chart
from calculations.sweeps.axes import Axis
from tests.calculations.factories import draft, submitted
from tests.calculations.recorded import WISHES, agent, report_run, reports, water_sweep
from tests.factories import ProjectFactory

SCF = Chart("scf", "step", ("energy", "gradient"), "Self-consistency", "line+markers", log_y=True)
FIELD = Parameter("field", "Field", Kind.NUMBER, unit="a.u.")


def column(name: str, values: list[Any], unit: str = "") -> dict[str, Any]:
    return {"name": name, "label": name.title(), "unit": unit, "values": values}


def scf(steps: list[Any], energy: list[Any], gradient: list[Any] | None = None) -> list[Any]:
    found = [column("step", steps), column("energy", energy, "Ha")]
    return [*found, column("gradient", gradient, "Ha")] if gradient else found


def drawn(chart: Chart, *runs: list[Any], **options: Any) -> list[Any]:
    places = [Place(i, f"{i} a.u.", float(i)) for i in range(len(runs))]
    stored = [Stored(chart.dataset, i, columns) for i, columns in enumerate(runs)]
    return documents([Spec(chart)], stored, places, **options)


def test_one_run_is_drawn_with_all_its_quantities() -> None:
    (chart,) = drawn(SCF, scf([1, 2], [3.0, 0.1], [1.0, 0.5]))
    assert chart["id"] == "run-0-scf-0"
    assert (chart["run_index"], chart["note"]) == (0, "0 a.u.")
    assert chart["x"] == {"label": "Step", "unit": "", "values": [1, 2]}
    assert [series["label"] for series in chart["y"]] == ["Energy", "Gradient"]
    assert chart["log_y"]


def test_runs_lie_over_each_other_and_a_shorter_one_ends_early() -> None:
    energy, gradient = drawn(
        SCF, scf([1, 2], [3.0, 0.1], [9, 8]), scf([1, 2, 3], [3, 2, 1], [7, 6, 5])
    )
    assert energy["title"] == "Self-consistency: Energy"
    assert energy["run_index"] is None
    assert [series["values"] for series in energy["y"]] == [[3.0, 0.1, None], [3, 2, 1]]
    assert [series["label"] for series in gradient["y"]] == ["0 a.u.", "1 a.u."]
    assert gradient["y_label"] == "Gradient"


@pytest.mark.parametrize("steps", [[1.5, 2.5], [2, 1], [1, 1], ["a", "b"]])
def test_runs_without_a_common_axis_show_the_last_alone(steps: list[Any]) -> None:
    (chart,) = drawn(SCF, scf([1, 2], [3.0, 0.1]), scf(steps, [2.0, 1.0]))
    assert (chart["run_index"], chart["x"]["values"]) == (1, steps)


def test_levels_of_several_runs_stand_over_what_is_varied() -> None:
    levels = Chart("levels", "index", ("energy",), "Levels", style="levels")
    one = [column("index", [1, 2]), column("energy", [-1.0, 1.0], "eV")]
    two = [column("index", [1, 2]), column("energy", [-2.0, 2.0], "eV")]
    (chart,) = drawn(levels, one, two, swept=FIELD)
    assert chart["x"] == {"label": "Field", "unit": "a.u.", "values": [0.0, 0.0, 1.0, 1.0]}
    assert chart["y"][0]["values"] == [-1.0, 1.0, -2.0, 2.0]


def test_what_is_no_number_is_a_gap() -> None:
    (chart,) = drawn(SCF, scf([1, 2, 3, 4], [1.0, None, "x", float("inf")], [1, True, 3, 4]))
    assert chart["y"][0]["values"] == [1.0, None, None, None]
    assert chart["y"][1]["values"] == [1, None, 3, 4]


def test_a_logarithm_needs_something_positive() -> None:
    (chart,) = drawn(SCF, scf([1, 2], [-3.0, -4.0]))
    assert not chart["log_y"]


@pytest.mark.parametrize("columns", [[], scf([], []), scf([1], [2.0]), [column("other", [1, 2])]])
def test_what_has_no_two_points_is_not_drawn(columns: list[Any]) -> None:
    assert drawn(SCF, columns) == []


def test_the_same_curve_is_drawn_once() -> None:
    again = Chart("kept", "step", ("energy",), "Convergence", "line+markers", log_y=True)
    columns = scf([1, 2], [3.0, 0.1])
    stored = [Stored("scf", 0, columns), Stored("kept", 0, columns)]
    charts = documents([Spec(SCF), Spec(again, "convergence")], stored, [Place(0, "")])
    assert [chart["title"] for chart in charts] == ["Self-consistency"]


def test_charts_of_analyses_that_were_not_chosen_are_left_out() -> None:
    software = get_software("pyscf")
    assert {spec.analysis for spec in specs(software, ["dipole_vs_field"])} == {
        "",
        "dipole_vs_field",
    }


@pytest.fixture
def water(ada: Any, root: Any) -> Calculation:
    return water_sweep(ada, root)


def test_a_real_sweep_shows_what_was_varied_first(water: Calculation) -> None:
    charts = charts_of(water)
    assert [chart["id"] for chart in charts] == [
        "all-energy_sweep-0",
        "all-dipole_field-0",
        "all-polarizability_fit-0",
        "runs-scf-0-energy_change",
        "runs-scf-0-gradient",
        "runs-levels-0-levels",
    ]
    fit = charts[2]
    assert fit["x"]["label"] == "Electric field, z"
    assert fit["x"]["unit"] == "a.u."
    assert fit["x"]["values"] == [-0.01, -0.005, 0.0, 0.005, 0.01]
    assert [(s["unit"], s["style"]) for s in fit["y"]] == [("Debye", "markers"), ("Debye", "line")]
    assert [s["label"] for s in charts[3]["y"]][:2] == ["−0.01 a.u.", "−0.005 a.u."]


def test_one_run_of_a_sweep_can_be_asked_for(water: Calculation) -> None:
    charts = charts_of(water, run_index=1)
    assert {chart["run_index"] for chart in charts} == {1}
    assert [chart["title"] for chart in charts] == ["Self-consistency", "Levels"]


def test_where_no_run_is_valid_the_last_one_is_drawn_and_says_so(ada: Any, root: Any) -> None:
    wishes = {**WISHES, "sweep": None}
    calculation = submitted(ada, **wishes)
    report = reports()[0]
    report["outcome"]["verdict"] = "not_valid"
    report_run(agent(root), calculation.runs.get(), {**report, "analyses": []})
    (chart,) = charts_of(Calculation.objects.get(pk=calculation.pk))
    assert (chart["title"], chart["note"]) == ("Self-consistency", "not valid")


def test_a_draft_and_an_unknown_program_have_no_charts(ada: Any) -> None:
    assert charts_of(draft(ada, software="pyscf", parameters={})) == []
    gone = draft(ada)
    gone.software = "gone"
    assert charts_of(gone) == []


def test_a_thousand_runs_show_a_few_in_two_queries(
    ada: Any, django_assert_num_queries: Any
) -> None:
    sweep = {"parameter": "field_z", "from": 0, "to": 0.1, "points": 1000}
    calculation = submitted(ada, **{**WISHES, "sweep": sweep})
    runs = list(Run.objects.bulk_create(many_runs(calculation)))
    columns = [column("iteration", [1, 2]), column("gradient", [1.0, 0.1], "Ha")]
    Dataset.objects.bulk_create(
        Dataset(
            calculation=calculation, run=r, name="scf", label="SCF", kind="series", columns=columns
        )
        for r in runs
    )
    with django_assert_num_queries(2):
        (chart,) = charts_of(calculation)
    assert len(chart["y"]) == MOST_RUNS
    assert chart["y"][-1]["label"] == "0.1 a.u."


def many_runs(calculation: Calculation) -> list[Run]:
    calculation.runs.all().delete()
    values = axes_of(calculation)[0].values
    return [
        Run(calculation=calculation, index=i, point=[value], state="valid")
        for i, value in enumerate(values)
    ]


def test_page_and_api_give_the_same_charts(water: Calculation, ada: Any, client: Client) -> None:
    client.force_login(ada)
    page = client.get(f"/calculations/{water.pk}/charts/").json()
    api = client.get(f"/api/v1/calculations/{water.pk}/charts/").json()
    assert page == api == {"charts": charts_of(water)}
    one = client.get(f"/api/v1/calculations/{water.pk}/charts/?run=2").json()
    assert {chart["run_index"] for chart in one["charts"]} == {1}


@pytest.mark.parametrize("said", ["0", "x", "-1", "²", "99999999999"])
def test_what_is_no_number_of_a_run_is_refused(
    said: str, water: Calculation, ada: Any, client: Client
) -> None:
    client.force_login(ada)
    for path in ("/calculations", "/api/v1/calculations"):
        assert client.get(f"{path}/{water.pk}/charts/?run={said}").status_code == 400


def test_an_outsider_sees_no_charts(ada: Any, eve: Any, client: Client) -> None:
    private = submitted(ada, project=ProjectFactory(private=True, members=[ada]))
    client.force_login(eve)
    for path in ("/calculations", "/api/v1/calculations"):
        assert client.get(f"{path}/{private.pk}/charts/").status_code == 404


def test_a_grid_is_drawn_with_a_line_for_each_value_of_the_other_axis() -> None:
    field = Axis("field_z", "Field", "a.u.", (0.0, 0.1, 0.2), "number")
    basis = Axis("basis", "Basis", "", ("b", "a"), "choice", choices=(("a", "A"), ("b", "B")))
    columns = [
        {"name": "field_z", "label": "Field", "unit": "a.u.", "values": [0.2, 0.0, 0.0, 0.1]},
        {"name": "basis", "label": "Basis", "unit": "", "values": ["a", "a", "b", "b"]},
        {"name": "energy", "label": "Energy", "unit": "Ha", "values": [3.0, 1.0, 5.0, None]},
    ]
    spec = Spec(Chart("energy_sweep", "swept", ("energy",), "Energy"), "energy", across=True)
    (chart,) = documents([spec], [Stored("energy_sweep", None, columns)], [], axes=[field, basis])
    assert chart["x"] == {"label": "Field", "unit": "a.u.", "values": [0.0, 0.1, 0.2]}
    assert [(line["label"], line["values"]) for line in chart["y"]] == [
        ("A", [1.0, None, 3.0]),
        ("B", [5.0, None, None]),
    ]
    assert (chart["y_label"], chart["note"]) == ("Energy", "by basis")


@pytest.mark.parametrize(("points", "below"), [((1, 1, 2, 2), "k-point"), ((1, 1, 1, 1), "Level")])
def test_levels_of_a_solid_stand_above_their_k_points(points: tuple[int, ...], below: str) -> None:
    columns = [
        {"name": "index", "label": "Level", "unit": "", "values": [1, 2, 3, 4]},
        {"name": "energy", "label": "Energy", "unit": "eV", "values": [-2.0, -1.0, 1.0, 2.0]},
        {"name": "k", "label": "k-point", "unit": "", "values": list(points)},
    ]
    chart = Chart("levels", "index", ("energy",), "Levels", style="levels")
    (found,) = documents([Spec(chart)], [Stored("levels", 0, columns)], [Place(0, "")])
    assert found["x"]["label"] == below
    assert found["y"][0]["values"] == [-2.0, -1.0, 1.0, 2.0]


def test_a_curve_that_an_analysis_shows_with_more_is_drawn_once() -> None:
    """SIESTA extracts the change of the density; its convergence draws that and the energy's."""
    extracted = Chart("scf", "step", ("gradient",), "Change of the density", "line+markers")
    analysed = Chart("convergence", "step", ("gradient", "energy"), "Convergence", "line+markers")
    columns = scf([1, 2], [3.0, 0.1], [1.0, 0.5])
    stored = [Stored("scf", 0, columns), Stored("convergence", 0, columns)]
    specs = [Spec(extracted), Spec(analysed, "convergence")]
    (chart,) = documents(specs, stored, [Place(0, "")])
    assert chart["title"] == "Convergence"
