"""Exports: asked for, made by a worker, fetched by their owner alone, forgotten in time."""

from __future__ import annotations

import re
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from typing import Any, BinaryIO

import pytest
from django.test import Client
from django.urls import reverse

from calculations.exports import registry
from calculations.exports.base import Asked, OfCalculation, Progress
from calculations.models import Calculation, Export
from calculations.services import export_making, exports
from labportal.accounts.models import Membership
from labportal.audit.models import AuditEntry
from labportal.common.clock import now
from labportal.common.errors import (
    InvalidInput,
    NotAllowed,
    NotFound,
    Unavailable,
    WrongMoment,
)
from labportal.common.storage import storage
from labportal.notifications.models import Notification
from tests.calculations.factories import draft, submitted
from tests.factories import ProjectFactory


class Slow(OfCalculation):
    """Writes a word; a test may put something in its way."""

    name, label, help = "slow", "Slow", ""
    content_type, ending = "text/plain", "slow.txt"

    def __init__(self) -> None:
        self.meanwhile = lambda: None

    def write(self, asked: Asked, stream: BinaryIO, progress: Progress) -> None:
        progress(1, 3)
        self.meanwhile()
        stream.write(b"done")
        progress(3, 3)


@pytest.fixture
def slow(monkeypatch: Any) -> Slow:
    kind = Slow()
    monkeypatch.setitem(registry.KINDS, "slow", kind)
    monkeypatch.setattr(export_making, "EVERY_S", 0)
    return kind


@pytest.fixture
def water(ada: Any) -> Calculation:
    return submitted(ada, name="Water")


def asked(user: Any, calculation: Calculation, kind: str = "slow") -> Export:
    return exports.ask(kind, {"calculation": calculation.pk}, user=user)


def made(user: Any, calculation: Calculation, kind: str = "slow") -> Export:
    export = asked(user, calculation, kind)
    export_making.make(export.pk)
    export.refresh_from_db()
    return export


def test_what_was_asked_for_is_made_and_kept_with_its_digest(
    slow: Slow, ada: Any, water: Calculation
) -> None:
    export = made(ada, water)
    assert (export.state, export.size, export.done, export.of) == ("ready", 4, 3, 3)
    assert export.sha256 == sha256(b"done").hexdigest()
    assert export.file_name == f"C-{water.pk}-slow.txt"
    assert storage().open(export.key).read() == b"done"
    assert export.projects == [water.project_id]
    assert (export.expires_at - export.finished_at).days == exports.KEPT_DAYS


def test_it_is_handed_to_a_worker_after_the_commit(
    slow: Slow,
    ada: Any,
    water: Calculation,
    monkeypatch: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(
        exports.current_app, "send_task", lambda name, args: sent.append((name, args))
    )
    with django_capture_on_commit_callbacks(execute=True):
        export = asked(ada, water)
        assert sent == []
    assert (exports.MAKE_TASK, [str(export.pk)]) in sent


def test_asking_is_on_record(slow: Slow, ada: Any, water: Calculation) -> None:
    export = asked(ada, water)
    entry = AuditEntry.objects.get(verb="export.ask")
    assert (entry.actor_name, entry.target) == ("ada", f"export:{export.pk}")
    assert entry.detail["kind"] == "slow"


def test_made_twice_is_made_once(slow: Slow, ada: Any, water: Calculation) -> None:
    export = made(ada, water)
    export_making.make(export.pk)
    again = Export.objects.get(pk=export.pk)
    assert (again.tries, again.key) == (1, export.key)


def test_progress_reaches_the_pages_of_the_owner(
    slow: Slow, ada: Any, water: Calculation, monkeypatch: Any
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(exports, "publish", lambda *event: told.append(event))
    made(ada, water)
    assert {(topic, kind) for topic, kind, _ in told} == {(f"user:{ada.pk}", "export.changed")}
    steps = [(event["state"], event["done"], event["of"]) for _, _, event in told]
    assert steps[0][0] == "waiting" and steps[-1] == ("ready", 3, 3)
    assert ("running", 1, 3) in steps


def test_progress_is_told_now_and_then_alone(
    slow: Slow, ada: Any, water: Calculation, monkeypatch: Any
) -> None:
    monkeypatch.setattr(export_making, "EVERY_S", 3600)
    told: list[Any] = []
    monkeypatch.setattr(export_making, "announce", told.append)
    made(ada, water)
    assert len(told) == 3  # begun, the first step, ready


def test_an_export_of_a_killed_worker_is_made_again(
    slow: Slow, ada: Any, water: Calculation, monkeypatch: Any
) -> None:
    export = asked(ada, water)
    sent: list[Any] = []
    monkeypatch.setattr(export_making, "enqueue", sent.append)
    Export.objects.update(state="running", tries=1, heard_at=now())
    assert export_making.tend() == 0
    export_making.make(export.pk)
    assert Export.objects.get().state == "running"  # somebody is at it
    Export.objects.update(heard_at=now() - export_making.STALE - timedelta(seconds=1))
    assert export_making.tend() == 1
    assert sent == [export.pk]
    export_making.make(export.pk)
    ready = Export.objects.get()
    assert (ready.state, ready.tries) == ("ready", 2)


def test_an_export_that_kills_its_workers_fails_with_words(
    slow: Slow, ada: Any, water: Calculation
) -> None:
    asked(ada, water)
    Export.objects.update(
        state="running", tries=export_making.MOST_TRIES, heard_at=now() - timedelta(hours=1)
    )
    export_making.tend()
    failed = Export.objects.get()
    assert failed.state == "failed"
    assert "was stopped each time" in failed.problem


def test_who_was_overtaken_leaves_no_trace(slow: Slow, ada: Any, water: Calculation) -> None:
    export = asked(ada, water)
    slow.meanwhile = lambda: Export.objects.update(tries=2)
    export_making.make(export.pk)
    left = Export.objects.get()
    assert (left.state, left.key, left.tries) == ("running", "", 2)
    assert not [path for path in storage()._root.rglob("*") if path.is_file()]


def test_what_a_dead_try_has_stored_goes_with_the_next(
    slow: Slow, ada: Any, water: Calculation
) -> None:
    export = asked(ada, water)
    storage().save(exports.key_of(export, 1), BytesIO(b"left behind"))
    Export.objects.update(tries=1)
    export_making.make(export.pk)
    assert Export.objects.get().tries == 2
    (kept,) = [path for path in storage()._root.rglob("*") if path.is_file()]
    assert kept.read_bytes() == b"done"
    exports.delete(Export.objects.get(), actor=ada)
    assert not [path for path in storage()._root.rglob("*") if path.is_file()]


def test_a_store_that_is_away_keeps_the_row_for_later(
    slow: Slow, ada: Any, water: Calculation, monkeypatch: Any
) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("The file store does not answer.")

    export = made(ada, water)
    monkeypatch.setattr(type(storage()), "delete", away)
    with pytest.raises(Unavailable):
        exports.delete(export, actor=ada)
    assert Export.objects.filter(pk=export.pk).exists()


def test_deleting_one_that_is_being_made_gives_it_up(
    slow: Slow, ada: Any, water: Calculation
) -> None:
    export = asked(ada, water)
    slow.meanwhile = lambda: exports.delete(Export.objects.get(), actor=ada)
    export_making.make(export.pk)
    assert not Export.objects.exists()
    assert not [path for path in storage()._root.rglob("*") if path.is_file()]


def test_a_store_that_is_away_is_waited_for(
    slow: Slow, ada: Any, water: Calculation, monkeypatch: Any
) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("The file store does not answer.")

    export = asked(ada, water)
    monkeypatch.setattr(type(storage()), "save", away)
    with pytest.raises(Unavailable):
        export_making.make(export.pk)
    waiting = Export.objects.get()
    assert (waiting.state, waiting.problem) == ("waiting", "The file store does not answer.")
    Export.objects.update(tries=export_making.MOST_TRIES, heard_at=now() - timedelta(hours=1))
    export_making.tend()
    assert Export.objects.get().problem == "The file store does not answer."


def test_a_fault_ends_in_words_and_not_in_a_traceback(
    slow: Slow, ada: Any, water: Calculation
) -> None:
    def broken() -> None:
        raise RuntimeError("secret path")

    slow.meanwhile = broken
    export = made(ada, water)
    assert export.state == "failed"
    assert "secret" not in export.problem and str(export.pk) in export.problem


def test_who_waited_long_is_told_in_the_inbox(slow: Slow, ada: Any, water: Calculation) -> None:
    made(ada, water)
    assert not Notification.objects.filter(key__startswith="export:").exists()
    export = asked(ada, water)
    Export.objects.filter(pk=export.pk).update(created_at=now() - timedelta(seconds=11))
    export_making.make(export.pk)
    told = Notification.objects.get(key__startswith=f"export:{export.pk}")
    assert told.user == ada and told.url == reverse("export-list")
    assert "is ready" in told.subject


def test_what_has_expired_is_forgotten_with_its_file(
    slow: Slow, ada: Any, water: Calculation
) -> None:
    old, young = made(ada, water), made(ada, water)
    Export.objects.filter(pk=old.pk).update(expires_at=now() - timedelta(seconds=1))
    old.refresh_from_db()
    with pytest.raises(NotFound, match="has expired"):
        exports.fetched(old, user=ada)
    assert exports.forget_old() == 1
    assert Export.objects.get() == young
    with pytest.raises(NotFound):
        storage().open(old.key)


def test_who_lost_sight_of_the_project_gets_the_file_no_more(
    slow: Slow, ada: Any, eve: Any
) -> None:
    project = ProjectFactory(private=True, members=[ada, eve])
    export = made(eve, submitted(ada, project=project))
    assert exports.fetched(export, user=eve) == export
    Membership.objects.filter(user=eve).delete()
    with pytest.raises(NotAllowed, match="may no longer see"):
        exports.fetched(export, user=eve)


def test_who_lost_sight_before_it_was_made_gets_nothing(slow: Slow, ada: Any, eve: Any) -> None:
    project = ProjectFactory(private=True, members=[ada, eve])
    export = asked(eve, submitted(ada, project=project))
    Membership.objects.filter(user=eve).delete()
    export_making.make(export.pk)
    export.refresh_from_db()
    assert export.state == "failed" and "in a project of others" in export.problem


def test_a_deleted_calculation_takes_its_exports_with_it(
    slow: Slow, ada: Any, water: Calculation
) -> None:
    export = made(ada, water)
    Calculation.objects.update(deleted_at=now())
    with pytest.raises(NotAllowed):
        exports.fetched(export, user=ada)


def test_what_cannot_be_asked_for_is_refused_in_words(
    slow: Slow, ada: Any, eve: Any, water: Calculation
) -> None:
    with pytest.raises(InvalidInput, match="is no kind of export; known are report-pdf"):
        exports.ask("<b>", {}, user=ada)
    with pytest.raises(InvalidInput, match="by its number"):
        exports.ask("slow", {"calculation": "1; drop"}, user=ada)
    private = submitted(ada, project=ProjectFactory(private=True, members=[ada]))
    with pytest.raises(NotFound):
        asked(eve, private)
    with pytest.raises(WrongMoment, match="is a draft"):
        asked(ada, draft(ada))
    for _ in range(exports.MOST_AT_ONCE):
        asked(ada, water)
    with pytest.raises(WrongMoment, match="on their way"):
        asked(ada, water)


def test_the_page_shows_ones_own_and_fetches_what_was_just_asked_for(
    slow: Slow, ada: Any, eve: Any, water: Calculation, client: Client
) -> None:
    made(eve, water)
    client.force_login(ada)
    answer = client.post(reverse("export-ask"), {"kind": "slow", "calculation": water.pk})
    export = Export.objects.get(user=ada)
    assert answer.url == f"{reverse('export-list')}?made={export.pk}"
    waiting = client.get(answer.url).content.decode()
    assert "data-fetch-once" not in waiting and "Waiting" in waiting
    export_making.make(export.pk)
    ready = client.get(answer.url).content.decode()
    assert ready.count("data-fetch-once") == 1
    assert ready.count('class="lead"') == 1
    file = client.get(reverse("export-file", args=[export.pk]))
    assert b"".join(file.streaming_content) == b"done"
    assert "attachment" in file["Content-Disposition"]


def test_the_list_costs_the_same_however_long(
    slow: Slow, ada: Any, water: Calculation, client: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        made(ada, water)
    client.force_login(ada)
    with django_assert_max_num_queries(12):
        client.get(reverse("export-list"))


def test_the_newest_stands_first_and_older_ones_are_a_page_away(
    slow: Slow, ada: Any, water: Calculation, client: Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr("labportal.accounts.paging.SIZE", 2)
    for number in range(3):
        export = made(ada, water)
        Export.objects.filter(pk=export.pk).update(label=f"number {number}")
    client.force_login(ada)
    first = client.get(reverse("export-list"))
    page = first.content.decode()
    assert page.index("number 2") < page.index("number 1") and "number 0" not in page
    older = client.get(first.context["page"].older_url).content.decode()
    assert "number 0" in older and "number 1" not in older
    assert client.get(f"{reverse('export-list')}?after=never").status_code == 400


def test_a_label_is_never_mark_up(slow: Slow, ada: Any, client: Client) -> None:
    made(ada, submitted(ada, name='<img src=x onerror="alert(1)">'))
    client.force_login(ada)
    page = client.get(reverse("export-list")).content.decode()
    assert "<img" not in page and "&lt;img" in page


def test_the_interface_asks_watches_fetches_and_deletes(
    slow: Slow, ada: Any, eve: Any, water: Calculation
) -> None:
    from tests.calculations.rest import api, problem

    mine, hers = api(ada), api(eve)
    assert {kind["name"] for kind in mine.get("/api/v1/exports/kinds/").json()} >= {"report-pdf"}
    answer = mine.post("/api/v1/exports/", {"kind": "slow", "calculation": water.pk}, format="json")
    assert answer.status_code == 202
    at = f"/api/v1/exports/{answer.json()['id']}/"
    problem(mine.get(f"{at}file/"), 409, "wrong-moment")
    export_making.make(answer.json()["id"])
    assert mine.get(at).json()["state"] == "ready"
    assert b"".join(mine.get(f"{at}file/").streaming_content) == b"done"
    assert hers.get(at).status_code == hers.delete(at).status_code == 404
    assert hers.get("/api/v1/exports/").json()["results"] == []
    problem(mine.post("/api/v1/exports/", {"kind": "x"}, format="json"), 400, kind="no kind")
    assert mine.delete(at).status_code == 204
    assert not Export.objects.exists()


def test_what_a_search_found_can_be_exported(ada: Any, client: Client) -> None:
    client.force_login(ada)
    page = client.get(reverse("search"), {"q": "state:valid & software:noop"}).content.decode()
    (at,) = re.findall(rf'href="({reverse("export-new")}\?q=[^"]*)"', page)
    told = client.get(at.replace("&amp;", "&")).content.decode()
    assert "Narrowed to" in told and 'name="q" value="' in told
