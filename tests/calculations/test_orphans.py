"""Late results: kept, shown, and adopted where the run cannot end by itself any more."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from rest_framework.test import APIClient

from calculations.models import Attempt, Calculation, OrphanResult, OutputFile, Quantity, Run
from calculations.services import lifecycle, orphans
from calculations.services.results import file_key
from clusters import placement
from clusters.models import Cluster
from labportal.audit.models import AuditEntry
from labportal.common.errors import NotAllowed, WrongMoment
from labportal.common.storage import storage
from tests.calculations.factories import chain, submitted
from tests.clusters.factories import Agent, cluster, finished
from tests.factories import ProjectFactory


@pytest.fixture
def agent(root: Any) -> Agent:
    agent = Agent(cluster("metis", slots=8), root)
    agent.exchange()
    return agent


def started(agent: Agent, calculation: Calculation) -> list[Run]:
    placement.place()
    agent.exchange()
    return list(calculation.runs.order_by("index"))


def given_up(agent: Agent, run: Run) -> dict[str, Any]:
    """The portal gave attempt 1 up and queued the next; return the first one's entry."""
    entry = dict(agent.runs[str(run.pk)])
    agent.tell(run.pk, "lost", why="the node went away")
    agent.exchange()
    return entry


def comes_late(agent: Agent, entry: dict[str, Any], **report: Any) -> OrphanResult:
    agent.exchange(runs=[{**entry, "state": "finished", **finished(**report)}])
    return OrphanResult.objects.get()


@pytest.fixture
def orphan(ada: Any, root: Any, agent: Agent) -> OrphanResult:
    """A valid result of attempt 1, of a calculation that was cancelled meanwhile."""
    calculation = submitted(ada)
    run = started(agent, calculation)[0]
    entry = given_up(agent, run)
    orphan = comes_late(agent, entry, value=-76.1)
    lifecycle.cancel(calculation, actor=ada)
    return orphan


def test_a_late_result_changes_nothing_by_itself(orphan: OrphanResult) -> None:
    assert orphan.run.state == "cancelled"
    assert orphan.run.calculation.state == "cancelled"
    assert (orphan.verdict, orphan.message) == ("valid", "it is valid")
    assert not Quantity.objects.exists()


def test_adopted_it_is_the_runs_result(orphan: OrphanResult, root: Any) -> None:
    before = orphan.run.events.count()
    run = orphans.adopt(orphan, actor=root)
    run.refresh_from_db()
    calculation = Calculation.objects.get()
    assert (run.state, calculation.state) == ("valid", "valid")
    assert calculation.finished_at is not None
    assert Quantity.objects.get(run=run, name="energy").number == -76.1
    verbs = list(run.events.values_list("verb", flat=True))[before:]
    assert verbs == ["adopt", "finish_valid"]
    endings = list(Attempt.objects.order_by("number").values_list("number", "ending"))
    assert endings == [(1, "lost"), (2, "finished")]
    orphan.refresh_from_db()
    assert orphan.adopted_by == root and orphan.adopted_at is not None
    assert AuditEntry.objects.filter(verb="orphan.adopt").count() == 1


def test_it_is_adopted_once(orphan: OrphanResult, root: Any) -> None:
    orphans.adopt(orphan, actor=root)
    with pytest.raises(WrongMoment, match="already"):
        orphans.adopt(orphan, actor=root)


@pytest.mark.parametrize("person", ["ada", "max", "eve"])
def test_only_admins_adopt(
    orphan: OrphanResult, person: str, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(NotAllowed):
        orphans.adopt(orphan, actor=request.getfixturevalue(person))
    orphan.refresh_from_db()
    assert orphan.adopted_at is None


def test_a_run_that_may_still_end_by_itself_is_left_alone(
    ada: Any, root: Any, agent: Agent
) -> None:
    run = started(agent, submitted(ada))[0]
    orphan = comes_late(agent, given_up(agent, run))
    with pytest.raises(WrongMoment, match=r"queued, attempt 1.*Cancel"):
        orphans.adopt(orphan, actor=root)
    placement.place()
    with pytest.raises(WrongMoment, match="assigned, attempt 2"):
        orphans.adopt(orphan, actor=root)


def test_a_valid_result_stays(ada: Any, root: Any, agent: Agent) -> None:
    run = started(agent, submitted(ada))[0]
    orphan = comes_late(agent, given_up(agent, run), value=1.0)
    started(agent, run.calculation)
    agent.tell(run.pk, "finished", **finished(value=2.0))
    agent.exchange()
    with pytest.raises(WrongMoment, match="valid result"):
        orphans.adopt(orphan, actor=root)
    assert Quantity.objects.get(run=run).number == 2.0


def test_a_chain_goes_on_after_the_adopted_run(ada: Any, root: Any, agent: Agent) -> None:
    calculation = chain(ada, 3)
    first = started(agent, calculation)[0]
    orphan = comes_late(agent, given_up(agent, first), value=-1.0)
    started(agent, calculation)
    agent.tell(first.pk, "finished", **finished("not_valid"))
    agent.exchange()
    states = calculation.runs.order_by("index").values_list("state", flat=True)
    assert list(states) == ["not_valid", "skipped", "skipped"]
    orphans.adopt(orphan, actor=root)
    assert list(states.all()) == ["valid", "queued", "waiting"]
    calculation.refresh_from_db()
    assert calculation.state in ("queued", "running") and calculation.finished_at is None


def test_a_late_result_that_is_not_valid_ends_so(ada: Any, root: Any, agent: Agent) -> None:
    calculation = submitted(ada)
    run = started(agent, calculation)[0]
    orphan = comes_late(agent, given_up(agent, run), verdict="not_valid")
    lifecycle.cancel(calculation, actor=ada)
    orphans.adopt(orphan, actor=root)
    calculation.refresh_from_db()
    assert calculation.state == "not_valid"


def test_files_that_had_arrived_are_kept(orphan: OrphanResult, root: Any) -> None:
    orphan.report["files"] = [
        {"name": "out.txt", "size": 4, "sha256": "a" * 64},
        {"name": "never-sent.txt", "size": 4, "sha256": "b" * 64},
        {"name": "../escape", "size": 4, "sha256": "c" * 64},
    ]
    orphan.save()
    storage().save(file_key(orphan.run_id, orphan.attempt, "out.txt"), BytesIO(b"text"))
    orphans.adopt(orphan, actor=root)
    file = OutputFile.objects.get()
    assert (file.name, file.attempt) == ("out.txt", 2)
    assert storage().open(file.key).read() == b"text"


def test_a_report_that_cannot_be_read_breaks_nothing(orphan: OrphanResult, root: Any) -> None:
    orphan.report = {"outcome": "nonsense"}
    orphan.save()
    assert orphans.adopt(orphan, actor=root).state == "failed"


def test_the_api_lists_what_is_visible_and_adopts(
    orphan: OrphanResult, root: Any, ada: Any, eve: Any
) -> None:
    Calculation.objects.update(project=ProjectFactory(private=True, managers=[ada]))
    address = f"/api/v1/orphans?calculation={orphan.run.calculation_id}"
    client = APIClient()
    for person, count in ((ada, 1), (root, 1), (eve, 0)):
        client.force_authenticate(person)
        assert len(client.get(address).json()["results"]) == count
    assert client.post(f"/api/v1/orphans/{orphan.pk}/adopt").status_code == 404
    client.force_authenticate(ada)
    assert client.post(f"/api/v1/orphans/{orphan.pk}/adopt").status_code == 403
    client.force_authenticate(root)
    assert client.post(f"/api/v1/orphans/{orphan.pk}/adopt").json()["adopted_by"] == "root"
    assert client.post(f"/api/v1/orphans/{orphan.pk}/adopt").status_code == 409
    assert Cluster.objects.exists()
