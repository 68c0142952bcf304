"""Tries with what a verdict advises: by the portal itself where asked for, or by a person."""

from __future__ import annotations

from typing import Any

import pytest

from calculations.models import Calculation, LabSettings, Run
from calculations.services import drafts, lifecycle, retries
from calculations.software.espresso import Espresso
from calculations.software.results import Exit
from calculations.wording import tries_words
from clusters import placement
from labportal.common.errors import InvalidInput, WrongMoment
from tests.calculations.factories import draft
from tests.calculations.outcomes import water
from tests.calculations.software.espresso.recorded import DATA, HYDROGEN
from tests.clusters.factories import Agent, cluster, finished

pytestmark = pytest.mark.django_db
OFFERS = {"siesta": {"version": "4.1", "ok": True, "problem": ""}}
SOME_RESTART = {"restart": ["*.DM"]}


@pytest.fixture
def agent(root: Any) -> Agent:
    capacity = {"slots": {"total": 4, "free": 4}, "software": OFFERS}
    return Agent(cluster(capacity=capacity), root)


def not_converged(**advice: Any) -> dict[str, Any]:
    report = finished("not_valid")
    report["outcome"]["message"] = "SCF not converged after 300 iterations."
    report["outcome"] |= {"retry": {"mixing_weight": 0.1}, **advice}
    return report


def go(agent: Agent, calculation: Calculation, **report: Any) -> Run:
    """Let the only run be handed out, and end with `report`."""
    placement.place()
    agent.exchange()
    run = calculation.runs.get()
    agent.tell(run.pk, "finished", **report)
    agent.exchange()
    return calculation.runs.get()


def test_a_run_is_tried_again_with_the_change_where_that_was_asked_for(
    ada: Any, agent: Agent
) -> None:
    calculation = water(ada, automatic_retries=1)
    run = go(agent, calculation, **not_converged(**SOME_RESTART))
    assert (run.state, run.attempt, run.automatic_retries) == ("queued", 1, 1)
    assert run.changes == {"mixing_weight": 0.1}
    assert run.full_parameters()["mixing_weight"] == 0.1
    attempt = run.attempts.get()
    assert (attempt.ending, attempt.code, attempt.changes) == ("finished", "scf_not_converged", {})
    event = calculation.events.get(verb="retry_with_change")
    assert event.note.endswith("Second try: mixing weight 0.25 → 0.1.")
    assert event.evidence == ["the output says so"]
    run = go(agent, calculation, **finished())
    assert (run.state, run.attempt) == ("valid", 2)
    assert run.attempts.get(number=2).changes == {"mixing_weight": 0.1}
    assert tries_words(calculation, run) == "second try: mixing weight 0.25 → 0.1"
    calculation.refresh_from_db()
    assert calculation.state == "valid"


def test_nothing_is_tried_again_where_nobody_asked(ada: Any, agent: Agent) -> None:
    calculation = water(ada)
    assert go(agent, calculation, **not_converged()).state == "not_valid"


def test_it_is_tried_at_most_twice(ada: Any, agent: Agent) -> None:
    calculation = water(ada, automatic_retries=2)
    for weight in (0.1, 0.05):
        run = go(agent, calculation, **not_converged(retry={"mixing_weight": weight}))
        assert run.state == "queued"
    run = go(agent, calculation, **not_converged(retry={"mixing_weight": 0.02}))
    assert (run.state, run.attempt, run.changes) == ("not_valid", 3, {"mixing_weight": 0.05})
    assert "third try: mixing weight 0.25 → 0.05" in tries_words(calculation, run)


def test_a_report_that_is_heard_again_tries_nothing_again(ada: Any, agent: Agent) -> None:
    calculation = water(ada, automatic_retries=2)
    placement.place()
    agent.exchange()
    run = calculation.runs.get()
    agent.tell(run.pk, "finished", **not_converged())
    told = dict(agent.runs)
    agent.exchange()
    agent.runs = dict(told)  # the reply was lost
    assert agent.verbs() == {str(run.pk): "close"}
    placement.place()
    agent.runs = dict(told)  # and once more, when the next attempt is handed out
    assert agent.verbs() == {str(run.pk): "close"}
    run = calculation.runs.get()
    assert (run.attempt, run.automatic_retries, run.state) == (2, 1, "assigned")
    assert run.attempts.count() == 1
    assert agent.verbs() == {str(run.pk): "execute"}


def test_the_next_attempt_starts_from_sound_files_of_the_one_before(ada: Any, agent: Agent) -> None:
    calculation = water(ada, automatic_retries=2)
    go(agent, calculation, **not_converged(**SOME_RESTART))
    placement.place()
    spec = execute(agent)
    run = calculation.runs.get()
    assert spec["carry"] == {"run": str(run.pk), "patterns": ("*.DM",), "attempt": 1}
    assert spec["parameters"]["mixing_weight"] == 0.1


def test_files_that_are_not_sound_or_not_the_programs_are_left(ada: Any, agent: Agent) -> None:
    calculation = water(ada, automatic_retries=2)
    go(agent, calculation, **not_converged(restart=["../../secret"]))
    placement.place()
    assert execute(agent)["carry"] is None


def test_another_cluster_has_no_files_to_start_from(ada: Any, agent: Agent, root: Any) -> None:
    calculation = water(ada, automatic_retries=1)
    go(agent, calculation, **not_converged(**SOME_RESTART))
    agent.cluster.enabled = False
    agent.cluster.save(update_fields=["enabled"])
    capacity = {"slots": {"total": 4, "free": 4}, "software": OFFERS}
    other = Agent(cluster("tesla", capacity=capacity), root)
    placement.place()
    assert execute(other)["carry"] is None


def execute(agent: Agent) -> dict[str, Any]:
    (item,) = [i for i in agent.exchange().document["runs"] if i["verb"] == "execute"]
    return item["spec"]


@pytest.mark.parametrize(
    "retry",
    [{"mixing_weight": 50}, {"nonsense": 1}, {"mixing_weight": 0.25}, {}, {"structure": "x"}],
)
def test_advice_that_the_form_would_refuse_is_not_followed(
    ada: Any, agent: Agent, retry: Any
) -> None:
    calculation = water(ada, automatic_retries=2)
    run = go(agent, calculation, **not_converged(retry=retry))
    assert (run.state, run.attempts.get().advice) == ("not_valid", {})


def test_what_was_cancelled_meanwhile_is_not_tried_again(ada: Any, agent: Agent) -> None:
    calculation = water(ada, automatic_retries=2)
    placement.place()
    agent.exchange()
    run = calculation.runs.get()
    lifecycle.cancel(calculation, actor=ada)
    agent.tell(run.pk, "finished", **not_converged())
    agent.exchange()
    assert calculation.runs.get().state == "not_valid"


def test_a_person_tries_again_with_the_advised_change(ada: Any, agent: Agent) -> None:
    calculation = water(ada)
    go(agent, calculation, **not_converged(**SOME_RESTART))
    calculation.refresh_from_db()
    lifecycle.retry(calculation, actor=ada, advised=True)
    run = calculation.runs.get()
    assert (run.state, run.changes, run.automatic_retries) == ("queued", {"mixing_weight": 0.1}, 0)
    assert calculation.events.get(verb="retry", run=run).note == "with mixing weight 0.25 → 0.1"
    assert tries_words(calculation, run) == "changed: mixing weight 0.25 → 0.1"


def test_without_advice_there_is_nothing_to_try_with(ada: Any, agent: Agent) -> None:
    calculation = water(ada)
    go(agent, calculation, **finished("failed"))
    calculation.refresh_from_db()
    with pytest.raises(WrongMoment, match="advises a change"):
        lifecycle.retry(calculation, actor=ada, advised=True)
    calculation.refresh_from_db()
    assert calculation.state == "failed"


def test_a_geometry_goes_on_where_the_attempt_has_left_it(ada: Any, agent: Agent) -> None:
    calculation = water(ada, automatic_retries=1, parameters={"run_type": "CG", "max_steps": 2})
    report = not_converged(retry={"max_steps": 100}, last_geometry=True)
    report["outcome"]["code"] = "geometry_not_converged"
    places = [("O", 0.0, -0.05, 0.0), ("H", 0.81, 0.61, 0.0), ("H", -0.81, 0.61, 0.0)]
    columns = [
        {"name": name, "label": name, "unit": "", "values": [place[i] for place in places]}
        for i, name in enumerate(("symbol", "x", "y", "z"))
    ]
    table = {"name": "final_geometry", "label": "Geometry", "kind": "table", "columns": columns}
    report["results"]["datasets"] = [table]
    run = go(agent, calculation, **report)
    assert run.changes["max_steps"] == 100
    assert "-0.8100000000" in run.changes["structure"]
    assert "structure from the end of that attempt" in tries_words(calculation, run)


def test_the_estimate_counts_the_tries_and_so_does_the_review(ada: Any) -> None:
    LabSettings.objects.update_or_create(pk=1, defaults={"auto_approve_core_hours": 2})
    wishes = {"software": "siesta", "cores": 1, "walltime_s": 3600}
    assert draft(ada, **wishes).core_hours_limit == 1
    assert draft(ada, automatic_retries=2, **wishes).core_hours_limit == 3
    assert water(ada, cores=1, walltime_s=3600, automatic_retries=2).state == "in_review"


@pytest.mark.parametrize(("software", "count"), [("siesta", 3), ("siesta", -1), ("noop", 1)])
def test_more_tries_than_two_or_without_advice_are_refused(
    ada: Any, software: str, count: int
) -> None:
    with pytest.raises(InvalidInput) as refused:
        draft(ada, software=software, automatic_retries=count)
    assert "automatic_retries" in refused.value.errors


def test_a_copy_tries_as_often(ada: Any) -> None:
    made = draft(ada, software="siesta", automatic_retries=2)
    assert drafts.duplicate(made, actor=ada).automatic_retries == 2


def test_pages_and_interface_offer_the_change(ada: Any, agent: Agent, client: Any) -> None:
    calculation = water(ada)
    go(agent, calculation, **not_converged())
    client.force_login(ada)
    page = client.get(f"/calculations/{calculation.pk}/").content.decode()
    assert "Try again with mixing weight 0.1" in page
    client.post(f"/calculations/{calculation.pk}/retry/", {"advised": "1"})
    page = client.get(f"/calculations/{calculation.pk}/").content.decode()
    assert "Changed: mixing weight 0.25 → 0.1" in page
    go(agent, calculation, **not_converged(retry={"mixing_weight": 0.05}))
    address = f"/api/v1/calculations/{calculation.pk}/retry/"
    assert client.post(address, {"advised": True}).status_code == 200
    assert calculation.runs.get().changes == {"mixing_weight": 0.05}


def test_espresso_goes_on_where_its_recorded_output_ends() -> None:
    software = Espresso()
    before = software.check({**HYDROGEN, "nstep": 2})
    folder = DATA / "hydrogen_relax_not_converged"
    run = Run(calculation=Calculation(software="espresso", parameters=before))
    found = software.extract(folder)
    advice = retries.advised(run, software.judge(folder, Exit(3)), found)
    assert advice is not None
    assert advice.changes["nstep"] == 100
    last = found.dataset("final_geometry")
    after = software.structure({**before, **advice.changes})
    assert [atom.position[2] for atom in after.atoms] == pytest.approx(last.column("z").values)
    assert after.atoms != software.structure(before).atoms
