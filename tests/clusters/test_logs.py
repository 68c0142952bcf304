"""Log lines: filters, windows by id, deletion by filter and age, retention."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from calculations.models import LabSettings
from clusters import placement
from clusters.models import Cluster, LogLine, Metrics
from clusters.retention import forget_old
from clusters.selectors import logs
from clusters.selectors.logs import LogFilters
from clusters.services import logs as services
from clusters.summaries import summarise
from labportal.audit.models import AuditEntry
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotAllowed
from tests.calculations.factories import submitted
from tests.clusters.factories import Agent, cluster


@pytest.fixture
def metis(db: None) -> Cluster:
    return cluster("metis")


def line(site: Cluster, text: str = "hello", *, age: timedelta = timedelta(0), **f: Any) -> LogLine:
    fields = {"service": "agent", "level": "INFO", **f}
    return LogLine.objects.create(cluster=site, text=text, at=now() - age, **fields)


def texts(user: Any, **query: str) -> list[str]:
    found = logs.narrow(logs.visible_lines(user), LogFilters.read(query))
    return [row.text for row in logs.newest(found).lines]


def test_lines_come_in_the_order_of_their_ids(metis: Cluster, eve: Any) -> None:
    for text in "abc":
        line(metis, text)
    assert texts(eve) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["debug", "info", "warning", "error", "other"]),
        ({"level": "DEBUG"}, ["debug", "info", "warning", "error", "other"]),
        ({"level": "warning"}, ["warning", "error"]),
        ({"level": "ERROR"}, ["error"]),
        ({"cluster": "metis"}, ["debug", "info", "warning", "error"]),
        ({"cluster": "nowhere"}, []),
        ({"service": "program"}, ["other"]),
        ({"text": "R"}, ["warning", "error", "other"]),
        ({"text": "%"}, []),
        ({"since": "30m"}, ["error", "other"]),
        ({"until": "90m"}, ["debug"]),
        ({"since": "3h", "until": "45m", "level": "INFO"}, ["info", "warning"]),
    ],
)
def test_filters_narrow(
    metis: Cluster, eve: Any, query: dict[str, str], expected: list[str]
) -> None:
    ages = {"debug": 120, "info": 60, "warning": 60, "error": 10}
    for name, minutes in ages.items():
        line(metis, name, level=name.upper(), age=timedelta(minutes=minutes))
    line(cluster("tesla"), "other", service="program")
    assert texts(eve, **query) == expected


def test_a_time_without_a_zone_is_the_persons(metis: Cluster) -> None:
    from django.utils import timezone

    with timezone.override("Europe/Berlin"):
        moment = logs.moment_of("2026-07-01 14:00")
    assert moment is not None and moment.isoformat() == "2026-07-01T14:00:00+02:00"
    assert logs.moment_of("2026-07-01") is not None
    for nonsense in ("yesterday", "2026-13-01", "99", "5x", "", "-2h"):
        assert logs.moment_of(nonsense) is None


def test_what_means_nothing_is_named(metis: Cluster) -> None:
    with pytest.raises(InvalidInput) as refusal:
        LogFilters.read({"level": "LOUD", "run": "7", "since": "soon", "cluster": "x\0y"})
    assert set(refusal.value.errors) == {"level", "run", "since"}


def test_windows_page_by_id(metis: Cluster, eve: Any) -> None:
    rows = [line(metis, str(n)) for n in range(10)]
    lines = logs.visible_lines(eve)
    newest = logs.newest(lines, 4)
    assert [r.text for r in newest.lines] == list("6789") and newest.older
    older = logs.before(lines, newest.lines[0].pk, 4)
    assert [r.text for r in older.lines] == list("2345") and older.older
    oldest = logs.before(lines, older.lines[0].pk, 4)
    assert [r.text for r in oldest.lines] == list("01") and not oldest.older
    missed = logs.after(lines, rows[6].pk, 2)
    assert [r.text for r in missed.lines] == list("78") and missed.newer
    assert not logs.after(lines, rows[7].pk, 2).newer


def test_a_line_opens_to_its_own_stream(metis: Cluster, eve: Any) -> None:
    rows = [line(metis, str(n)) for n in range(60)]
    line(cluster("tesla"), "elsewhere")
    found = logs.around(eve, rows[30])
    assert [row.text for row in found] == [str(n) for n in range(10, 51)]


def test_deletion_takes_what_was_counted(metis: Cluster, root: Any) -> None:
    tesla = cluster("tesla")
    for age in (1, 10, 100):
        line(metis, age=timedelta(days=age))
        line(tesla, age=timedelta(days=age))
    filters = LogFilters(cluster="metis")
    assert services.count_lines(filters, older_than_days=5, actor=root) == 2
    assert LogLine.objects.count() == 6
    assert services.delete_lines(filters, older_than_days=5, actor=root) == 2
    assert LogLine.objects.count() == 4
    entry = AuditEntry.objects.get(verb="logs.delete")
    assert entry.detail == {"cluster": "metis", "older_than_days": 5, "lines": 2}
    assert services.delete_lines(LogFilters(), older_than_days=0, actor=root) == 4


@pytest.mark.parametrize("person", ["ada", "max"])
def test_only_admins_delete(metis: Cluster, person: str, request: pytest.FixtureRequest) -> None:
    actor = request.getfixturevalue(person)
    line(metis)
    with pytest.raises(NotAllowed):
        services.count_lines(LogFilters(), older_than_days=0, actor=actor)
    with pytest.raises(NotAllowed):
        services.delete_lines(LogFilters(), older_than_days=0, actor=actor)
    assert LogLine.objects.count() == 1


@pytest.mark.parametrize("days", [-1, 10**9])
def test_an_age_has_bounds(metis: Cluster, root: Any, days: int) -> None:
    with pytest.raises(InvalidInput):
        services.delete_lines(LogFilters(), older_than_days=days, actor=root)


def test_many_lines_of_many_runs_cost_an_exchange_no_more_queries(
    metis: Cluster, ada: Any, root: Any
) -> None:
    agent = Agent(metis, root)
    runs = [submitted(ada).runs.get() for _ in range(2)]
    placement.place()
    agent.exchange()

    def queries(lines: int) -> int:
        for number in range(lines):
            agent.log(str(number), run=runs[number % 2].pk if number else None)
        with CaptureQueriesContext(connection) as captured:
            agent.exchange()
        return len(captured)

    assert queries(3) == queries(400)
    assert LogLine.objects.count() == 403


def test_a_flood_of_lines_is_told_in_part_and_fetched(
    metis: Cluster, root: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr("clusters.intake.publish", lambda *event: told.append(event[2]))
    agent = Agent(metis, root)
    for number in range(400):
        agent.log(str(number))
    agent.exchange()
    lines = next(payload for payload in told if "lines" in payload)
    assert lines["more"] is True and len(lines["lines"]) == 300
    assert lines["lines"][-1]["text"] == "399"


def test_old_lines_and_metrics_are_forgotten(metis: Cluster) -> None:
    settings = LabSettings.current()
    settings.log_retention_days = 7
    settings.save()
    line(metis, "old", age=timedelta(days=8))
    line(metis, "young", age=timedelta(days=6))
    for hours in (49, 47):
        Metrics.objects.create(cluster=metis, at=now() - timedelta(hours=hours))
    assert forget_old() == 1, "a heartbeat that is not summarised stays"
    summarise()
    assert forget_old() == 1
    assert LogLine.objects.get().text == "young"
    assert Metrics.objects.count() == 1
