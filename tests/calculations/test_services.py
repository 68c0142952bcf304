"""The verbs of calculations: each by one call, its outcome and its event row asserted."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.db import transaction

from calculations.models import Calculation, LabSettings, Run
from calculations.services import drafts, lifecycle, submission
from calculations.services.advance import advance
from calculations.states import (
    CALCULATION_TRANSITIONS,
    RUN_TRANSITIONS,
    CalculationState,
    RunState,
)
from labportal.common.errors import InvalidInput, NotAllowed, Stale, WrongMoment
from tests.calculations.factories import chain, draft, submitted
from tests.clusters.factories import cluster
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db
LARGE = {"cores": 100, "walltime_s": 36000}


def verbs(calculation: Calculation) -> list[str]:
    return list(calculation.events.values_list("verb", flat=True))


def test_a_small_calculation_is_queued_at_once(ada: Any) -> None:
    calculation = submitted(ada)
    assert calculation.state == "queued"
    assert calculation.runs.get().state == "queued"
    assert verbs(calculation) == ["create", "submit", "approve_by_rule"]
    assert "limit 1" in calculation.events.last().evidence[0]


def test_a_large_calculation_waits_for_a_moderator(ada: Any, max: Any) -> None:
    calculation = submitted(ada, **LARGE)
    assert calculation.state == "in_review"
    assert not calculation.runs.exists()
    submission.approve(calculation, actor=max, note="fine")
    assert calculation.state == "queued"
    assert calculation.runs.count() == 1
    assert calculation.events.last().actor == max


def test_zero_core_hours_means_that_everything_is_reviewed(ada: Any) -> None:
    LabSettings.objects.update_or_create(pk=1, defaults={"auto_approve_core_hours": 0})
    assert submitted(ada).state == "in_review"


def test_a_user_cannot_approve(ada: Any, eve: Any) -> None:
    calculation = submitted(ada, **LARGE)
    with pytest.raises(NotAllowed):
        submission.approve(calculation, actor=eve)
    assert verbs(calculation) == ["create", "submit"]


def test_a_moderator_cannot_approve_their_own_but_an_admin_can(max: Any, root: Any) -> None:
    own = submitted(max, **LARGE)
    with pytest.raises(NotAllowed):
        submission.approve(own, actor=max)
    admins = submitted(root, **LARGE)
    submission.approve(admins, actor=root)
    assert admins.state == "queued"


def test_sending_back_needs_a_reason_and_makes_a_draft(ada: Any, max: Any) -> None:
    calculation = submitted(ada, **LARGE)
    with pytest.raises(InvalidInput):
        submission.send_back(calculation, actor=max, note="  ")
    submission.send_back(calculation, actor=max, note="use fewer cores")
    assert (calculation.state, calculation.reason) == ("draft", "use fewer cores")


def test_a_second_submit_is_refused_and_changes_nothing(ada: Any) -> None:
    calculation = submitted(ada)
    with pytest.raises(WrongMoment):
        submission.submit(calculation, actor=ada)
    assert calculation.runs.count() == 1


def test_two_submits_at_once_make_one(ada: Any) -> None:
    calculation = draft(ada)
    other = Calculation.objects.get(pk=calculation.pk)
    submission.submit(calculation, actor=ada)
    with pytest.raises(Stale):
        submission.submit(other, actor=ada)
    assert calculation.runs.count() == 1
    assert verbs(calculation).count("submit") == 1


def test_submitting_many_is_all_or_nothing(ada: Any) -> None:
    good, late = draft(ada), submitted(ada)
    with pytest.raises(WrongMoment):
        submission.submit_all([good, late], actor=ada)
    good.refresh_from_db()
    assert good.state == "draft"


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"software": "gaussian"}, "software"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"parameters": {"value": "many"}}, "parameters.value"),
        ({"parameters": {"valeu": 1}}, "parameters.valeu"),
        ({"parameters": {"program": "rm"}}, "parameters.program"),
        ({"parameters": {"seconds": -1}}, "parameters.seconds"),
        ({"analyses": ["everything"]}, "analyses"),
        ({"cores": 0}, "cores"),
        ({"walltime_s": 10**9}, "walltime_s"),
        ({"priority": 5}, "priority"),
        ({"sweep": {"parameter": "colour", "values": ["true"]}}, "sweep.parameter"),
        ({"sweep": {"parameter": "value", "values": []}}, "sweep.values"),
        ({"sweep": {"parameter": "value", "values": [1, 1]}}, "sweep.values"),
        ({"sweep": {"parameter": "value", "values": [float("nan")]}}, "sweep.values"),
        ({"sweep": {"parameter": "value", "values": list(range(1001))}}, "sweep.values"),
        ({"sweep": {"parameter": "value", "from": 0, "to": 1, "points": 10**6}}, "sweep.points"),
        ({"sweep": {"parameter": "value", "from": 1, "to": 1, "points": 3}}, "sweep.to"),
        ({"sweep": {"parameter": "value", "from": "a", "to": 1, "points": 3}}, "sweep.from"),
        ({"sweep": {"parameter": "value", "values": [1], "mode": "maybe"}}, "sweep.mode"),
        *(
            (
                {"sweep": {"parameter": "value", "values": [1], "mode": "chain", "carry": [name]}},
                "sweep.carry",
            )
            for name in ("../x", "/x", "x/", "a/../x", "a/.x", "a/b/c", "a//b", "..", "a\\b", "x\0")
        ),
        ({"sweep": {"parameter": "value", "values": [1], "colour": "red"}}, "sweep"),
    ],
)
def test_bad_input_names_the_field_and_stores_nothing(
    ada: Any, wishes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        draft(ada, **wishes)
    assert list(refusal.value.errors) == [field]
    assert not Calculation.objects.exists()


def test_a_chain_may_carry_files_of_one_folder(ada: Any) -> None:
    carry = ["state.txt", "out.save/*.dat"]
    made = draft(
        ada, sweep={"parameter": "value", "values": [1, 2], "mode": "chain", "carry": carry}
    )
    assert made.sweep["carry"] == carry


def test_all_errors_come_at_once(ada: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        draft(ada, name="", cores=0, parameters={"value": "x", "seconds": -1})
    assert set(refusal.value.errors) == {"name", "cores", "parameters.value", "parameters.seconds"}


def test_a_disabled_cluster_is_refused_at_submit_with_its_note(ada: Any) -> None:
    site = cluster(enabled=False, maintenance_note="new disks")
    with pytest.raises(InvalidInput) as refusal:
        submitted(ada, cluster=site)
    assert "new disks" in refusal.value.errors["cluster"]
    assert Calculation.objects.get().state == "draft"


def test_a_cluster_without_the_software_is_refused_at_submit(ada: Any) -> None:
    site = cluster(capacity={"slots": {"total": 1}, "software": {}})
    with pytest.raises(InvalidInput) as refusal:
        submitted(ada, cluster=site)
    assert "does not have noop" in refusal.value.errors["cluster"]


def test_missing_pseudopotentials_are_named_before_submit(ada: Any) -> None:
    calculation = draft(ada, software="siesta")
    with pytest.raises(InvalidInput) as refusal:
        submission.submit(calculation, actor=ada)
    assert "O.psf" in refusal.value.errors["files"]
    for name in ("O.psf", "H.psf"):
        drafts.attach(calculation, name, io.BytesIO(b"pseudo"), actor=ada)
    submission.submit(calculation, actor=ada)
    assert calculation.state == "queued"


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "-rf", "a\nb", "x" * 121, "a\\b"])
def test_a_file_name_that_is_not_plain_is_refused(ada: Any, name: str) -> None:
    with pytest.raises(InvalidInput):
        drafts.attach(draft(ada), name, io.BytesIO(b""), actor=ada)


def test_cancelling_what_waits_is_immediate(ada: Any) -> None:
    calculation = submitted(ada)
    lifecycle.cancel(calculation, actor=ada, why="wrong molecule")
    calculation = Calculation.objects.get()
    assert (calculation.state, calculation.reason) == ("cancelled", "wrong molecule")
    assert calculation.runs.get().state == "cancelled"


def test_cancelling_a_draft_is_the_wrong_moment(ada: Any) -> None:
    with pytest.raises(WrongMoment):
        lifecycle.cancel(draft(ada), actor=ada)


def test_retrying_a_cancelled_calculation_queues_it_again(ada: Any) -> None:
    calculation = chain(ada, runs=3)
    lifecycle.cancel(calculation, actor=ada)
    lifecycle.retry(calculation, actor=ada)
    assert Calculation.objects.get().state == "queued"
    states = calculation.runs.order_by("index").values_list("state", flat=True)
    assert list(states) == ["queued", "waiting", "waiting"]


def test_what_was_never_approved_cannot_be_retried(ada: Any) -> None:
    calculation = submitted(ada, **LARGE)
    lifecycle.cancel(calculation, actor=ada)
    with pytest.raises(WrongMoment):
        lifecycle.retry(calculation, actor=ada)
    assert Calculation.objects.get().state == "cancelled"


def test_a_duplicate_is_a_draft_with_the_same_content_and_files(ada: Any, eve: Any) -> None:
    original = draft(ada, parameters={"value": 3})
    drafts.attach(original, "notes.txt", io.BytesIO(b"hello"), actor=ada)
    copy = drafts.duplicate(original, actor=eve)
    assert (copy.state, copy.parameters, copy.copied_from) == (
        "draft",
        original.parameters,
        original,
    )
    assert copy.created_by == eve
    assert copy.input_files.get().sha256 == original.input_files.get().sha256
    drafts.delete(original, actor=ada)
    from labportal.common.storage import storage

    assert storage().open(copy.input_files.get().key).read() == b"hello"


def test_only_drafts_that_were_never_submitted_are_deleted(ada: Any, max: Any) -> None:
    calculation = submitted(ada, **LARGE)
    with pytest.raises(WrongMoment):
        drafts.delete(calculation, actor=ada)
    submission.send_back(calculation, actor=max, note="no")
    with pytest.raises(WrongMoment):
        drafts.delete(calculation, actor=ada)
    drafts.delete(draft(ada), actor=ada)
    assert Calculation.objects.visible_to(ada).count() == 1


def test_a_priority_above_zero_is_given_by_moderators(ada: Any, max: Any) -> None:
    calculation = submitted(ada)
    with pytest.raises(NotAllowed):
        lifecycle.set_priority(calculation, 10, actor=ada)
    lifecycle.set_priority(calculation, 10, actor=max)
    assert Run.objects.get().priority == 10


def test_a_private_project_hides_its_calculations(ada: Any, eve: Any, max: Any) -> None:
    project = ProjectFactory(private=True, members=[ada])
    calculation = draft(ada, project=project)
    assert calculation in Calculation.objects.visible_to(ada)
    assert calculation in Calculation.objects.visible_to(max)
    assert calculation not in Calculation.objects.visible_to(eve)


@pytest.mark.parametrize("state", CalculationState.values)
@pytest.mark.parametrize("verb", sorted(CALCULATION_TRANSITIONS))
def test_the_table_decides_every_move_of_a_calculation(ada: Any, state: str, verb: str) -> None:
    calculation = draft(ada)
    Calculation.objects.update(state=state)
    calculation.refresh_from_db()
    transition = CALCULATION_TRANSITIONS[verb]
    if state in transition.sources:
        advance(calculation, verb, actor="test")
        assert calculation.state == transition.target
        assert verbs(calculation)[-1] == verb
    else:
        with pytest.raises(WrongMoment):
            advance(calculation, verb, actor="test")
        assert verbs(calculation) == ["create"]


@pytest.mark.parametrize("state", RunState.values)
@pytest.mark.parametrize("verb", sorted(RUN_TRANSITIONS))
def test_the_table_decides_every_move_of_a_run(ada: Any, state: str, verb: str) -> None:
    run = submitted(ada).runs.get()
    Run.objects.update(state=state)
    run.refresh_from_db()
    transition = RUN_TRANSITIONS[verb]
    if state in transition.sources:
        advance(run, verb, actor="test", note="so it is")
        run.refresh_from_db()
        assert (run.state, run.reason) == (transition.target, "so it is")
    else:
        with pytest.raises(WrongMoment):
            advance(run, verb, actor="test")


def test_a_move_whose_subject_changed_meanwhile_writes_no_event(ada: Any) -> None:
    calculation = draft(ada)
    Calculation.objects.update(state="cancelled")
    with pytest.raises(Stale), transaction.atomic():
        advance(calculation, "submit", actor=ada)
    assert verbs(calculation) == ["create"]
