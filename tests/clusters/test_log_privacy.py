"""Eve never sees a line of a run of ada's private project: on a page, in the API, on a socket."""

from __future__ import annotations

from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.test import Client

from calculations.models import Run
from clusters import placement
from clusters.models import LogLine
from labportal.accounts.models import User
from tests.calculations.factories import submitted
from tests.clusters.factories import Agent, cluster
from tests.factories import ProjectFactory, UserFactory
from tests.sockets import browser, no_connection_left  # noqa: F401  (a fixture)

SECRET = "E = -76.123456 of the secret alloy"
OPEN = "exchange 200, 1 run"


def lines_of_a_private_run() -> tuple[dict[str, User], Run, Agent]:
    """Ada's run speaks, and so does the agent itself."""
    roles = {"ada": "user", "mia": "user", "max": "moderator", "root": "admin", "eve": "user"}
    people = {name: UserFactory(username=name, role=role) for name, role in roles.items()}
    project = ProjectFactory(private=True, managers=[people["ada"]], members=[people["mia"]])
    agent = Agent(cluster("metis"), people["root"])
    agent.exchange()
    run = submitted(people["ada"], project=project).runs.get()
    placement.place()
    agent.exchange()
    return people, run, agent


def speak(agent: Agent, run: Run) -> None:
    agent.log(SECRET, run=run.pk)
    agent.log(OPEN)
    agent.exchange()


INSIDERS, OUTSIDERS = ("ada", "mia", "max", "root"), ("eve",)


@pytest.fixture
def told(db: None) -> tuple[dict[str, User], Run, Agent]:
    people, run, agent = lines_of_a_private_run()
    speak(agent, run)
    return people, run, agent


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    "address", ["/logs/", "/logs/lines/", "/api/v1/logs", "/api/v1/logs?after=0"]
)
def test_streams_hold_what_the_person_may_see(told: Any, address: str) -> None:
    people, _, _ = told
    for name in INSIDERS + OUTSIDERS:
        text = client_of(people[name]).get(address).content.decode()
        assert OPEN in text, name
        assert (SECRET in text) == (name in INSIDERS), name


def test_a_clusters_page_has_what_its_agent_says_of_runs_that_one_sees(told: Any) -> None:
    people, run, agent = told
    agent.log("sbatch refused the secret job", run=run.pk, service="agent")
    agent.exchange()
    for name in INSIDERS + OUTSIDERS:
        text = client_of(people[name]).get("/clusters/metis/").content.decode()
        assert OPEN in text, name
        assert SECRET not in text, name
        assert ("the secret job" in text) == (name in INSIDERS), name


@pytest.mark.parametrize(
    "query", ["run={run}", "text=secret", "service=program", "level=DEBUG&before=9999999"]
)
def test_no_filter_opens_them(told: Any, query: str) -> None:
    people, run, _ = told
    for address in ("/logs/", "/logs/lines/", "/api/v1/logs"):
        answer = client_of(people["eve"]).get(f"{address}?{query.format(run=run.pk)}")
        assert "-76.123456" not in answer.content.decode()


def test_the_line_the_run_and_its_download_are_not_there(told: Any) -> None:
    people, run, _ = told
    line = LogLine.objects.get(text=SECRET)
    addresses = [
        f"/logs/{line.pk}/",
        f"/api/v1/logs/{line.pk}",
        f"/logs/runs/{run.pk}/",
        f"/logs/runs/{run.pk}/?after=0",
        f"/logs/runs/{run.pk}/download/",
    ]
    for address in addresses:
        for name in INSIDERS:
            answer = client_of(people[name]).get(address)
            body = b"".join(answer) if answer.streaming else answer.content
            assert answer.status_code == 200 and SECRET in body.decode(), (name, address)
        answer = client_of(people["eve"]).get(address)
        assert answer.status_code == 404, address
        assert SECRET not in answer.content.decode()


def test_the_context_of_an_open_line_holds_no_private_one(told: Any) -> None:
    people, _, _ = told
    line = LogLine.objects.get(text=OPEN)
    assert SECRET not in client_of(people["eve"]).get(f"/logs/{line.pk}/").content.decode()
    assert SECRET not in client_of(people["eve"]).get("/clusters/metis/").content.decode()


def test_who_leaves_the_project_sees_no_more(told: Any) -> None:
    people, run, _ = told
    run.calculation.project.memberships.filter(user=people["mia"]).delete()
    assert SECRET not in client_of(people["mia"]).get("/logs/").content.decode()


def test_a_late_line_of_an_old_attempt_stays_private(told: Any) -> None:
    """The run went on elsewhere; the first cluster still sends what its program wrote."""
    people, run, agent = told
    agent.tell(run.pk, "lost", why="node died")
    agent.exchange()
    other = cluster("tesla")
    Run.objects.filter(pk=run.pk).update(cluster=other)
    agent.log("late and secret", run=run.pk)
    agent.exchange()
    assert LogLine.objects.get(text="late and secret").run == run
    assert "late and secret" not in client_of(people["eve"]).get("/logs/").content.decode()


@pytest.mark.parametrize("name", ["0a4cb1de-5f0e-4d0a-9a3e-3a55f0c5a1b7", "nonsense"])
def test_a_line_of_a_run_that_is_not_the_clusters_is_not_stored(told: Any, name: str) -> None:
    _, _, agent = told
    agent.log("about somebody else's run", run=name)
    agent.log("its own")
    agent.exchange()
    assert not LogLine.objects.filter(text__startswith="about").exists()
    assert LogLine.objects.filter(text="its own").exists()


def test_a_cluster_cannot_write_into_the_log_of_anothers_run(told: Any) -> None:
    people, run, _ = told
    stranger = Agent(cluster("tesla"), people["root"], agent_id="agent-2")
    stranger.exchange()
    stranger.log("forged", run=run.pk)
    stranger.exchange()
    assert not LogLine.objects.filter(text="forged").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_connection_left")
async def test_the_socket_tells_eve_only_of_service_lines() -> None:
    people, run, agent = await database_sync_to_async(lines_of_a_private_run)()
    project = await database_sync_to_async(lambda: run.calculation.project_id)()
    wanted = ["logs", f"logs:{project}", f"calculation:{run.calculation_id}", f"project:{project}"]
    ada, eve = await browser(people["ada"]), await browser(people["eve"])
    assert (await ada.say(subscribe=wanted))["refused"] == []
    assert (await eve.say(subscribe=wanted)) == {"subscribed": ["logs"], "refused": wanted[1:]}
    await database_sync_to_async(speak)(agent, run)
    heard = await eve.hear()
    assert OPEN in str(heard) and SECRET not in str(heard)
    assert await eve.hears_nothing()
    told_ada = {m["topic"]: str(m) for m in [await ada.hear() for _ in range(3)]}
    assert set(told_ada) == set(wanted[:3])
    assert SECRET in told_ada[wanted[1]] and SECRET in told_ada[wanted[2]]
    assert SECRET not in told_ada["logs"]
    await ada.disconnect()
    await eve.disconnect()
