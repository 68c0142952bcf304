"""The pages of clusters: what each role finds there, the forms, and a fixed number of queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from calculations.models import OrphanResult, Run
from clusters import keys, placement
from clusters.models import ApiKey, Cluster, LogLine, Metrics
from clusters.selectors import clusters as selectors
from clusters.views.agent import install_lines
from labportal.common.clock import now
from tests.calculations.factories import submitted
from tests.clusters.factories import cluster
from tests.factories import ProjectFactory

SILENT = timedelta(minutes=6)


@pytest.fixture
def metis(db: None) -> Cluster:
    return cluster("metis")


def page(user: Any, address: str, **data: Any) -> Any:
    client = Client()
    client.force_login(user)
    return client.post(address, data) if data else client.get(address)


def text(user: Any, address: str) -> str:
    answer = page(user, address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def heartbeat(site: Cluster) -> None:
    told = {"cpu_percent": 71.0, "memory_mib": 48.0, "memory_total_mib": 100.0}
    Metrics.objects.create(cluster=site, at=now(), **told)


def test_the_list_shows_load_and_software(metis: Cluster, ada: Any) -> None:
    heartbeat(metis)
    submitted(ada)
    placement.place()
    body = text(ada, "/clusters/")
    for words in ("metis", "71 %", "48 %", "1 of 2", "heard"):
        assert words in body
    assert "Register a cluster" not in body


def test_without_clusters_the_list_says_what_they_are(ada: Any, root: Any) -> None:
    assert "An admin registers" in text(ada, "/clusters/")
    assert "/clusters/new/" in text(root, "/clusters/")


@pytest.mark.parametrize(
    ("fields", "state", "label"),
    [
        ({}, "online", "Online"),
        ({"last_exchange_at": now() - SILENT}, "silent", "Silent"),
        ({"last_exchange_at": None}, "disabled", "Never heard"),
        ({"enabled": False}, "disabled", "Disabled"),
        ({"draining": True}, "drained", "Drained"),
        ({"draining": True, "last_exchange_at": now() - SILENT}, "drained", "Drained"),
        ({"held_at": now(), "held_reason": "5 runs were lost in a row"}, "held", "Held"),
    ],
)
def test_a_card_says_in_which_state_it_is(
    ada: Any, fields: dict[str, Any], state: str, label: str
) -> None:
    cluster("metis", **fields)
    card = selectors.cards(selectors.clusters(ada))[0]
    assert (card.state, card.label) == (state, label)
    assert label in text(ada, "/clusters/metis/")


def test_a_silent_cluster_shows_no_old_numbers(metis: Cluster, ada: Any) -> None:
    heartbeat(metis)
    Cluster.objects.update(last_exchange_at=now() - SILENT)
    card = selectors.cards(selectors.clusters(ada))[0]
    assert (card.cpu, card.memory) == (None, None)


def test_what_an_agent_tells_wrongly_breaks_no_page(ada: Any) -> None:
    nonsense = {"gpus": [7, {"name": None}], "cores": "many", "software": {"x": 1, "y": {}}}
    cluster("metis", capacity={**nonsense, "slots": {"total": 2}})
    assert "metis" in text(ada, "/clusters/")
    assert "metis" in text(ada, "/clusters/metis/")


def test_many_clusters_cost_no_more_queries(
    ada: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(3):
        heartbeat(cluster(f"c{number}"))
    with django_assert_num_queries(2):
        selectors.cards(selectors.clusters(ada))
    for number in range(3, 30):
        heartbeat(cluster(f"c{number}"))
    with django_assert_num_queries(2):
        assert len(selectors.cards(selectors.clusters(ada))) == 30


def queries_of(user: Any, address: str, capture: Any) -> int:
    client = Client()
    client.force_login(user)
    client.get(address)
    with capture as queries:
        assert client.get(address).status_code == 200
    return len(queries)


@pytest.mark.parametrize("address", ["/clusters/metis/", "/logs/", "/clusters/"])
def test_more_runs_and_lines_cost_a_page_no_more_queries(
    metis: Cluster, ada: Any, address: str
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def fill(count: int) -> None:
        for _ in range(count):
            submitted(ada)
        Cluster.objects.update(capacity={**metis.capacity, "slots": {"total": 30}})
        placement.place()
        run = Run.objects.exclude(cluster=None).first()
        for n in range(count * 5):
            LogLine.objects.create(
                cluster=metis, run=run if n % 2 else None, at=now(), service="agent", text="x"
            )

    fill(1)
    few = queries_of(ada, address, CaptureQueriesContext(connection))
    fill(8)
    assert queries_of(ada, address, CaptureQueriesContext(connection)) == few
    assert few < 30


def test_a_page_names_the_runs_that_the_person_may_see(metis: Cluster, ada: Any, eve: Any) -> None:
    project = ProjectFactory(private=True, managers=[ada])
    submitted(ada, project=project, name="Secret alloy", cluster=metis)
    submitted(ada, project=project, name="Secret waits", cluster=metis)
    submitted(ada, project=project, name="Secret too", cluster=metis)
    Cluster.objects.update(mean_run_s=600)
    placement.place()
    for words in ("Secret alloy", "Secret waits", "Secret too"):
        assert words in text(ada, "/clusters/metis/")
    seen = text(eve, "/clusters/metis/")
    assert "Secret" not in seen
    assert "2 runs of projects that you do not see" in seen
    assert "1 run of projects that you do not see" in seen


def test_verbs_stand_where_the_role_allows_them(metis: Cluster, root: Any, max: Any) -> None:
    assert "Disable…" in text(root, "/clusters/metis/")
    assert "Delete…" in text(root, "/clusters/metis/")
    assert "Disable…" not in text(max, "/clusters/metis/")
    assert "Issue a key" not in text(max, "/clusters/metis/agent/")


def test_from_the_form_to_a_key(root: Any) -> None:
    answer = page(root, "/clusters/new/", name="tesla-1", description="", max_runs="2")
    assert answer.headers["Location"] == "/clusters/tesla-1/agent/"
    made = Cluster.objects.get()
    assert made.max_runs == 2
    shown = page(root, "/clusters/tesla-1/keys/", days="30")
    key = ApiKey.objects.get()
    body = shown.content.decode()
    secret = f"{keys.MARK}{key.prefix}_"
    start = body.index(secret)
    full = body[start : start + len(secret) + 43]
    assert keys.authenticate(f"Api-Key {full}").cluster == made
    assert "no-store" in shown.headers["Cache-Control"]
    again = text(root, "/clusters/tesla-1/agent/")
    assert full not in again and key.prefix in again


def test_a_wrong_name_stands_beside_its_field(root: Any) -> None:
    answer = page(root, "/clusters/new/", name="No Way", max_runs="0")
    body = answer.content.decode()
    assert answer.status_code == 400
    assert "Use lower-case letters" in body or "field-error" in body
    assert not Cluster.objects.exists()


def test_the_lines_to_copy(metis: Cluster, settings: Any) -> None:
    settings.PUBLIC_URL = "https://portal.lab.example"
    get, configure, run = install_lines(metis, "lpk_1_2")
    assert get == "curl -fsSO https://portal.lab.example/agent/labportal-agent.pyz"
    assert configure == (
        "python3 labportal-agent.pyz configure --url https://portal.lab.example --key lpk_1_2 "
        "--work ~/labportal --slots 2"
    )
    assert run == "python3 labportal-agent.pyz run"
    assert "--key" not in install_lines(metis, "")[1]


def test_disable_and_enable_by_their_forms(metis: Cluster, root: Any) -> None:
    page(root, "/clusters/metis/disable/", note="new disks")
    assert "new disks" in text(root, "/clusters/metis/")
    page(root, "/clusters/metis/enable/", x="1")
    metis.refresh_from_db()
    assert metis.enabled


def test_an_edit_keeps_the_name(metis: Cluster, root: Any) -> None:
    page(root, "/clusters/metis/edit/", description="In room 214", max_runs="", name="other")
    metis.refresh_from_db()
    assert (metis.name, metis.description, metis.max_runs) == ("metis", "In room 214", None)


def test_revoking_by_its_form(metis: Cluster, root: Any) -> None:
    key, _ = keys.issue(metis, actor=root)
    page(root, f"/clusters/metis/keys/{key.prefix}/revoke/", x="1")
    assert not keys.valid_keys(metis).exists()


def test_the_first_call_turns_the_line_green(root: Any) -> None:
    site = cluster("metis", last_exchange_at=None)
    assert "Waiting for its first call" in text(root, "/clusters/metis/agent/")
    Cluster.objects.filter(pk=site.pk).update(last_exchange_at=now())
    assert ">Heard<" in text(root, "/clusters/metis/agent/")


def test_late_results_are_shown_to_admins(metis: Cluster, ada: Any, root: Any) -> None:
    run = submitted(ada).runs.get()
    OrphanResult.objects.create(run=run, attempt=1, cluster=metis, report={}, why="too late")
    assert "Late results" in text(root, "/clusters/metis/")
    assert "Late results" not in text(ada, "/clusters/metis/")


def test_the_dashboard_has_the_cards_and_names_what_is_silent(metis: Cluster, ada: Any) -> None:
    submitted(ada, cluster=metis)
    assert "cluster-card" in text(ada, "/")
    assert "silent" not in text(ada, "/")
    Cluster.objects.update(last_exchange_at=now() - SILENT)
    body = text(ada, "/")
    assert "Cluster “metis” silent" in body and "1 run waits for it" in body


def test_the_log_page_keeps_what_was_filtered(metis: Cluster, ada: Any) -> None:
    body = text(ada, "/logs/?level=WARNING&text=cut&cluster=metis")
    assert 'data-log-levels="WARNING ERROR"' in body and 'data-log-text="cut"' in body
    assert page(ada, "/logs/?level=LOUD").status_code == 400
    assert "data-topic" in body


def test_an_older_page_of_the_log_is_not_live(metis: Cluster, ada: Any) -> None:
    body = text(ada, "/logs/?before=99999")
    assert 'data-topic="logs' not in body and "back to the newest" in body


def test_deleting_lines_says_the_count_first(metis: Cluster, root: Any) -> None:
    for _ in range(3):
        LogLine.objects.create(cluster=metis, at=now(), service="agent", text="x")
    assert "3 lines" in text(root, "/logs/delete/?cluster=metis&older_than_days=0")
    assert LogLine.objects.count() == 3
    page(root, "/logs/delete/?cluster=metis", older_than_days="0")
    assert LogLine.objects.count() == 0


def test_a_run_s_log_is_a_panel_and_a_text(metis: Cluster, ada: Any) -> None:
    run = submitted(ada).runs.get()
    LogLine.objects.create(cluster=metis, run=run, at=now(), service="program", text="SCF 1")
    assert "SCF 1" in text(ada, f"/logs/runs/{run.pk}/")
    lines = page(ada, f"/logs/runs/{run.pk}/?after=0").json()
    assert [line["text"] for line in lines["lines"]] == ["SCF 1"] and lines["more"] is False
    download = page(ada, f"/logs/runs/{run.pk}/download/")
    assert b"SCF 1\n" in b"".join(download)
    assert "attachment" in download.headers["Content-Disposition"]
    assert "SCF 1" in text(ada, f"{run.calculation.get_absolute_url()}log/")
