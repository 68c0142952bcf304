"""A rehearsal makes a stage of its own in the portal, counts its runs, and leaves nothing."""

from __future__ import annotations

import os
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from calculations.models import Calculation
from calculations.services import drafts
from calculations.services.drafts import DraftSpec
from clusters.management.commands.rehearse import Command
from clusters.models import Cluster
from clusters.rehearsal import plan
from clusters.services import rehearsals
from labportal.accounts.models import Level, Project, User
from labportal.audit.models import AuditEntry
from labportal.common.errors import InvalidInput, NotAllowed
from tests.calculations.factories import draft
from tests.clusters.factories import Agent, cluster

OFFERS = {"rehearsal": {"version": "1", "ok": True, "problem": ""}}


def heard(stage: rehearsals.Stage, root: Any) -> None:
    for one in stage.clusters:
        one.capacity = {"slots": {"total": 4, "free": 4}, "software": OFFERS}
        one.save()
        agent = Agent.__new__(Agent)
        agent.cluster, agent.secret = one, stage.keys[one.name]
        agent.agent_id, agent.boot, agent.runs, agent.events, agent.seq = one.name, "b1", {}, [], 0
        agent.exchange()


@pytest.fixture
def stage(root: Any) -> rehearsals.Stage:
    return rehearsals.open_stage(["slurm-1", "pbs-1"], actor=root)


def test_a_stage_has_a_person_a_project_and_clusters_of_its_own(
    stage: rehearsals.Stage, ada: Any
) -> None:
    assert {c.name for c in stage.clusters} == {f"{stage.name}-slurm-1", f"{stage.name}-pbs-1"}
    assert stage.project.private
    assert not Project.objects.visible_to(ada).filter(pk=stage.project.pk).exists()
    assert stage.person.notification_level == Level.NONE, "nobody gets a hundred e-mails"
    assert set(stage.keys) == {c.name for c in stage.clusters}


def test_runs_are_shared_out_and_counted(stage: rehearsals.Stage, root: Any) -> None:
    heard(stage, root)
    assert len(rehearsals.heard(stage)) == 2
    rehearsals.submit(stage, runs=9, seconds=0.5)
    rows = rehearsals.standing(stage)
    assert [row.open for row in rows.values()] in ([5, 4], [4, 5])
    assert {row.state for row in rows.values()} == {"works"}
    assert sum(row.lost + row.orphans + row.valid + row.failed for row in rows.values()) == 0


def test_nothing_is_left_but_the_audit_trail(stage: rehearsals.Stage, root: Any, ada: Any) -> None:
    other, site = draft(ada), cluster("metis")
    people, shared = User.objects.count() - 1, Project.objects.count() - 1
    heard(stage, root)
    rehearsals.submit(stage, runs=4, seconds=0)
    rehearsals.close_stage(stage, actor=root)
    assert list(Calculation.objects.all()) == [other]
    assert list(Cluster.objects.all()) == [site]
    assert (User.objects.count(), Project.objects.count()) == (people, shared)
    verbs = list(AuditEntry.objects.values_list("verb", flat=True))
    assert verbs.count("rehearsal.begin") == verbs.count("rehearsal.end") == 1
    rehearsals.close_stage(stage, actor=root)


def test_what_a_killed_rehearsal_has_left_is_removed(stage: rehearsals.Stage, root: Any) -> None:
    heard(stage, root)
    rehearsals.submit(stage, runs=2, seconds=0)
    assert rehearsals.left_over(actor=root) == [stage.name]
    assert not Cluster.objects.exists() and not Calculation.objects.exists()
    assert rehearsals.left_over(actor=root) == []


def test_a_held_cluster_is_let_in_again(stage: rehearsals.Stage, root: Any) -> None:
    from labportal.common.clock import now

    heard(stage, root)
    Cluster.objects.update(held_at=now(), held_reason="5 runs were lost in a row")
    states = {row.state for row in rehearsals.standing(stage).values()}
    assert states == {"is held: 5 runs were lost in a row"}
    rehearsals.let_in_again(stage, actor=root)
    assert {row.state for row in rehearsals.standing(stage).values()} == {"works"}


@pytest.mark.parametrize("person", ["ada", "max"])
def test_only_admins_rehearse(person: str, request: pytest.FixtureRequest) -> None:
    with pytest.raises(NotAllowed):
        rehearsals.open_stage(["slurm-1"], actor=request.getfixturevalue(person))
    assert not Cluster.objects.exists()


def test_scientists_cannot_ask_for_the_rehearsal_s_program(ada: Any) -> None:
    project = Project.objects.get(is_default=True)
    with pytest.raises(InvalidInput) as refusal:
        drafts.create(DraftSpec(project=project, name="x", software="rehearsal"), actor=ada)
    assert "is unknown" in refusal.value.errors["software"]


def rehearse(*words: str) -> str:
    out = StringIO()
    call_command("rehearse", *words, stdout=out)
    return out.getvalue()


def test_a_portal_in_production_wants_a_yes(root: Any, settings: Any) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match=r"in production.*--yes"):
        rehearse()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sites", "lsf"), "'lsf': write kinds"),
        (("--sites", "slurm:x"), "'slurm:x': write kinds"),
        (("--fault", "5 slurm fire"), "'fire' is unknown; known are"),
        (("--fault", "slurm"), r"write \[SECONDS\] SITE FAULT"),
        (("--plan", "/nowhere/plan"), "No such file"),
        (("--runs", "0"), "--runs must be 1 or more"),
        (("--as", "ada"), "'ada' is no active admin"),
        (("--url", "http://127.0.0.1:9"), "does not answer at http://127.0.0.1:9"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    root: Any, ada: Any, words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        rehearse("--yes", *words)
    assert not Cluster.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_rehearsals_at_once_are_refused(root: Any) -> None:
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [rehearsals.LOCK])
        with pytest.raises(CommandError, match="Another rehearsal is under way"):
            rehearse("--yes", "--clean")
    other.close()
    assert rehearse("--yes", "--clean") == ""


def test_clean_removes_and_does_nothing_else(stage: rehearsals.Stage, root: Any) -> None:
    assert rehearse("--yes", "--clean") == f"Removed what {stage.name} has left.\n"
    assert not Cluster.objects.exists()


def test_the_keyboard_adds_steps_and_runs_until_the_end(
    stage: rehearsals.Stage, root: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard(stage, root)
    reader, writer = os.pipe()
    os.write(writer, b"pbs-1 time_out times=2\nnonsense\nruns 3\nend\n")
    os.close(writer)
    out, steps, options = StringIO(), plan.read("9 * heal"), {"interactive": True, "seconds": 0.1}
    with os.fdopen(reader, buffering=1) as keyboard:
        monkeypatch.setattr("sys.stdin", Unbuffered(keyboard))
        listen = Command(stdout=out)._listen
        said = [listen(stage, steps, 5.0, options) for _ in range(4)]
    assert said == [False, False, False, True]
    assert [(step.after_s, step.kind) for step in steps] == [(5, "time_out"), (9, "heal")]
    assert "write [SECONDS] SITE FAULT" in out.getvalue()
    assert sum(row.open for row in rehearsals.standing(stage).values()) == 3


class Unbuffered:
    """A keyboard of which each line is still to be read, as `select` sees it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def fileno(self) -> int:
        return self.stream.fileno()

    def readline(self) -> str:
        line = b""
        while not line.endswith(b"\n") and (letter := os.read(self.fileno(), 1)):
            line += letter
        return line.decode()
