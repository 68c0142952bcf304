"""Points that are added to a sweep later: what is there stays, chains go on where it is nearest."""

from __future__ import annotations

from typing import Any

import pytest

from calculations.models import Calculation, LabSettings
from calculations.services import extension
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment
from tests.calculations.factories import draft, submitted
from tests.calculations.outcomes import end_runs, states_of
from tests.calculations.rest import api
from tests.clusters.factories import cluster

pytestmark = pytest.mark.django_db
CHAIN = {"parameter": "value", "values": [0, 1, 2], "mode": "chain", "carry": ["state.txt"]}
GRID = {
    "axes": [{"parameter": "value", "values": [0, 1]}, {"parameter": "seconds", "values": [1, 2]}]
}


@pytest.fixture
def metis() -> Any:
    return cluster()


@pytest.fixture
def chain(ada: Any, metis: Any) -> Calculation:
    made = submitted(ada, sweep=CHAIN, walltime_s=60)
    for number in (1, 2, 3):
        end_runs(made, metis, {number: "valid"})
    assert made.state == "valid"
    return made


def more(*values: float, parameter: str = "value") -> list[dict[str, Any]]:
    return [{"parameter": parameter, "values": list(values)}]


def links(calculation: Calculation) -> dict[Any, Any]:
    rows = calculation.runs.select_related("predecessor").order_by("index")
    return {r.point[0]: r.predecessor.point[0] if r.predecessor else None for r in rows}


def test_a_chain_goes_on_at_the_nearer_end(chain: Calculation, ada: Any) -> None:
    extension.extend(chain, more(4, 3, -1, 1.6), actor=ada)
    assert links(chain) == {0: None, 1: 0, 2: 1, 1.6: 2, 3: 2, 4: 3, -1: 0}
    assert states_of(chain)[:3] == ["valid"] * 3
    states = dict(chain.runs.values_list("point__0", "state"))
    assert {states[1.6], states[3], states[-1]} == {"queued"}
    assert states[4] == "waiting"


def test_an_ended_calculation_goes_on_and_says_what_was_added(chain: Calculation, ada: Any) -> None:
    extension.extend(chain, more(3), actor=ada)
    chain.refresh_from_db()
    assert (chain.state, chain.run_count, chain.finished_at) == ("running", 4, None)
    assert chain.sweep["axes"][0]["values"] == [0, 1, 2, 3]
    event = chain.events.get(verb="extend")
    assert (event.source, event.target) == ("valid", "queued")
    assert event.note == "Value 3: 1 more run"


def test_trusted_results_are_checked_anew_after_points_were_added(
    chain: Calculation, ada: Any
) -> None:
    Calculation.objects.filter(pk=chain.pk).update(standing="validated")
    extension.extend(chain, more(3), actor=ada)
    chain.refresh_from_db()
    assert chain.standing == ""
    Calculation.objects.filter(pk=chain.pk).update(standing="retracted")
    with pytest.raises(WrongMoment, match="restore it first"):
        extension.extend(chain, more(4), actor=ada)


def test_a_grid_takes_all_combinations(ada: Any) -> None:
    made = submitted(ada, sweep=GRID, walltime_s=60)
    extension.extend(made, [*more(2), *more(5, parameter="seconds")], actor=ada)
    points = list(made.runs.order_by("index").values_list("point", flat=True))
    assert points[:4] == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert sorted(points[4:]) == [[0, 5], [1, 5], [2, 1], [2, 2], [2, 5]]
    assert made.events.filter(verb="extend").get().source == "queued"


def test_a_line_that_broke_is_not_continued_while_another_run_is_sound(
    ada: Any, metis: Any
) -> None:
    made = submitted(ada, sweep=CHAIN, walltime_s=60)
    end_runs(made, metis, {1: "valid"})
    end_runs(made, metis, {2: "failed"})
    extension.extend(made, more(3), actor=ada)
    assert links(made)[3] == 0
    assert states_of(made) == ["valid", "failed", "skipped", "queued"]


def test_what_continues_a_broken_run_is_skipped_with_its_words(ada: Any, metis: Any) -> None:
    made = submitted(ada, sweep={**CHAIN, "values": [0]}, walltime_s=60)
    end_runs(made, metis, {1: "failed"})
    extension.extend(made, more(3), actor=ada)
    assert states_of(made) == ["failed", "skipped"]
    made.refresh_from_db()
    assert made.state == "failed"


def test_files_that_were_purged_are_not_waited_for(chain: Calculation, ada: Any) -> None:
    chain.runs.update(purged_at=chain.created_at)
    extension.extend(chain, more(3, 4), actor=ada)
    assert links(chain)[3] is None
    assert links(chain)[4] == 3


@pytest.mark.parametrize(
    ("axes", "field"),
    [
        (more(0, 1), "axes"),
        ([], "axes"),
        (more(1, parameter="colour"), "axes.0.parameter"),
        ([*more(3), *more(4)], "axes.1.parameter"),
        (more(float("nan")), "axes.0.values"),
        ([{"parameter": "value", "from": 0, "to": 1, "points": 10**7}], "axes.0.points"),
        ([{"parameter": "value", "from": 5, "to": 2000, "points": 999}], "axes.0.values"),
        ([{"parameter": "value", "values": []}], "axes.0.values"),
    ],
)
def test_what_cannot_be_added_names_its_field(
    chain: Calculation, ada: Any, axes: list[dict[str, Any]], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        extension.extend(chain, axes, actor=ada)
    assert list(caught.value.field_errors) == [field]
    assert chain.runs.count() == 3


def test_nothing_is_added_to_a_draft_or_to_a_single_run(ada: Any) -> None:
    with pytest.raises(WrongMoment, match="change the draft"):
        extension.extend(draft(ada, sweep=CHAIN), more(3), actor=ada)
    with pytest.raises(WrongMoment, match="varies nothing"):
        extension.extend(submitted(ada), more(3), actor=ada)


def test_what_costs_more_than_the_rule_allows_is_a_moderators_to_add(
    chain: Calculation, ada: Any, max: Any
) -> None:
    LabSettings.objects.update(auto_approve_core_hours=0.06)  # 4 runs of a minute cost 0.067
    with pytest.raises(NotAllowed, match="Ask a moderator"):
        extension.extend(chain, more(3), actor=ada)
    assert chain.runs.count() == 3
    chain.refresh_from_db()
    extension.extend(chain, more(3), actor=max)
    assert "approved by" in chain.events.get(verb="extend").evidence[0]


def test_the_interface_previews_and_adds(chain: Calculation, ada: Any) -> None:
    path = f"/api/v1/calculations/{chain.pk}/extend/"
    asked = {"axes": more(3, 4), "preview": True}
    answer = api(ada).post(path, asked, format="json")
    assert answer.status_code == 200, answer.content
    assert [run["point"] for run in answer.json()["runs"]] == [[3.0], [4.0]]
    assert [run["continues"] for run in answer.json()["runs"]] == [3, None]
    assert chain.runs.count() == 3
    api(ada).post(path, {**asked, "preview": False}, format="json")
    assert chain.runs.count() == 5
    wrong = api(ada).post(path, {"axes": more(3)}, format="json")
    assert wrong.status_code == 400
    assert "there already" in str(wrong.json())


def test_the_interface_repeats_and_cancels_single_runs(ada: Any, metis: Any) -> None:
    made = submitted(ada, sweep=GRID, walltime_s=60)
    end_runs(made, metis, {1: "failed"})
    path = f"/api/v1/calculations/{made.pk}"
    assert api(ada).post(f"{path}/retry/", {"runs": [1]}, format="json").status_code == 200
    assert api(ada).post(f"{path}/cancel/", {"runs": [2, 4]}, format="json").status_code == 200
    assert states_of(made) == ["queued", "cancelled", "queued", "cancelled"]
    refused = api(ada).post(f"{path}/retry/", {"runs": [9]}, format="json")
    assert refused.status_code == 400
    assert "no run 9" in str(refused.json())
