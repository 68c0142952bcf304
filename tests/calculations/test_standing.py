"""The standing of results: checked by rule, validated by a second person, retracted, restored."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from calculations import tasks
from calculations.models import Attempt, Calculation, Quantity
from calculations.policy import verbs_for
from calculations.services import checking, lifecycle, standing
from calculations.services.advance import TABLES, Move, advance, advance_all
from calculations.software.plausible import Plausible
from calculations.software.registry import get_software
from calculations.states import STANDING_TRANSITIONS, UNCHECKED, Standing, Transition
from clusters import placement
from labportal.accounts.models import User
from labportal.accounts.roles import Role, can
from labportal.audit.models import AuditEntry
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment
from labportal.notifications.models import Notification
from tests.calculations.factories import chain, submitted
from tests.calculations.standings import checked, executed, report, valid
from tests.clusters.factories import Agent, cluster
from tests.factories import ProjectFactory, UserFactory

STANDINGS = [UNCHECKED, *Standing.values]


@pytest.fixture
def agent(root: Any) -> Agent:
    agent = Agent(cluster("metis", slots=8), root)
    agent.exchange()
    return agent


@pytest.fixture
def bounds(monkeypatch: Any) -> None:
    """Energies of the test's program lie between -100 and 0 eV."""
    software = type(get_software("noop"))
    monkeypatch.setattr(software, "plausible", (Plausible("energy", -100.0, 0.0, "eV"),))


def energy(value: float, unit: str = "eV") -> dict[str, Any]:
    return {"name": "energy", "label": "Energy", "value": value, "unit": unit}


def last(calculation: Calculation) -> Any:
    return calculation.events.order_by("id").last()


@pytest.mark.usefixtures("bounds")
def test_valid_results_are_checked_by_rule_and_say_what_was_seen(agent: Agent, ada: User) -> None:
    calculation = checked(agent, ada)
    assert calculation.standing == Standing.CHECKED
    event = last(calculation)
    assert (event.verb, event.source, event.target) == ("check", "", "checked")
    assert (event.actor_label, event.note) == (standing.RULES, "all 5 rules hold")
    assert calculation.standing_reason == ""
    assert event.evidence == [
        "holds: the run is valid and its results are stored",
        "holds: the main result is there: Exit code 0",
        "holds: all 2 numbers are finite",
        "holds: each of 2 quantities has one unit in all runs",
        "holds: Energy −76.1 eV, expected −100 … 0 eV",
    ]
    standing.check([calculation.pk])
    assert last(calculation) == event


def test_what_follows_an_ending_checks_before_it_announces(agent: Agent, ada: User) -> None:
    calculation = valid(agent, ada)
    tasks.follow_up([], [calculation.pk])
    calculation.refresh_from_db()
    assert calculation.standing == Standing.CHECKED
    assert calculation.announced_at is not None


@pytest.mark.usefixtures("bounds")
@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        (energy(12.0), "Energy 12 eV, expected −100 … 0 eV"),
        (energy(-76.1, "Ha"), "energy is in Ha, it should be in eV"),
        (energy(-76.1, ""), "energy is without a unit, it should be in eV"),
    ],
)
def test_a_rule_that_fails_leaves_them_unchecked_with_the_reason(
    agent: Agent, ada: User, quantity: dict[str, Any], words: str
) -> None:
    calculation = checked(agent, ada, quantity)
    assert calculation.standing == UNCHECKED
    assert calculation.standing_reason == words
    event = last(calculation)
    assert (event.verb, event.note) == ("check_fails", words)
    assert f"FAILS: {words}" in event.evidence
    standing.check([calculation.pk])
    assert last(calculation) == event


def test_a_number_that_was_not_finite_is_noticed(agent: Agent, ada: User) -> None:
    calculation = valid(agent, ada)
    Attempt.objects.update(not_finite=["gap", "scf.energy"])
    standing.check([calculation.pk])
    calculation.refresh_from_db()
    assert calculation.standing_reason == "not finite in run 1: gap, scf.energy"


def test_a_number_that_is_not_finite_in_the_database_is_noticed(agent: Agent, ada: User) -> None:
    calculation = valid(agent, ada)
    Quantity.objects.filter(name="energy").update(number=float("nan"))
    standing.check([calculation.pk])
    calculation.refresh_from_db()
    assert calculation.standing_reason == "Energy is not a finite number"


def test_a_run_without_stored_results_is_noticed(agent: Agent, ada: User) -> None:
    calculation = executed(agent, chain(ada))
    Quantity.objects.filter(run=calculation.runs.get(index=1)).delete()
    standing.check([calculation.pk])
    calculation.refresh_from_db()
    assert "run 2 has no stored results" in calculation.standing_reason


def test_a_quantity_with_two_units_is_noticed(agent: Agent, ada: User) -> None:
    calculation = executed(agent, chain(ada, runs=2))
    Quantity.objects.filter(run=calculation.runs.get(index=1), name="energy").update(unit="Ha")
    standing.check([calculation.pk])
    calculation.refresh_from_db()
    assert calculation.standing_reason == "energy has several units: Ha, eV"


def test_the_check_asks_as_often_for_many_runs_as_for_few(
    agent: Agent, ada: User, django_assert_num_queries: Any
) -> None:
    few, many = (executed(agent, chain(ada, runs=count, walltime_s=60)) for count in (2, 9))
    with django_assert_num_queries(8):
        standing.check([few.pk])
    with django_assert_num_queries(8):
        standing.check([many.pk])


def test_many_calculations_are_checked_with_as_many_queries_as_one(
    agent: Agent, ada: User, django_assert_num_queries: Any
) -> None:
    made = [executed(agent, chain(ada, runs=2, walltime_s=60)).pk for _ in range(4)]
    with django_assert_num_queries(8):
        standing.check(made)
    assert set(Calculation.objects.values_list("standing", flat=True)) == {Standing.CHECKED}


def test_bounds_that_break_keep_no_other_from_being_checked(
    agent: Agent, ada: User, monkeypatch: Any
) -> None:
    broken, sound = checked(agent, ada), valid(agent, ada)
    advance(broken, "change_results", actor="test", column="standing")
    rules_of = checking.rules_of

    def rules(calculation: Calculation, *stored: Any) -> Any:
        if calculation.pk == broken.pk:
            raise ZeroDivisionError
        return rules_of(calculation, *stored)

    monkeypatch.setattr(standing, "rules_of", rules)
    standing.check([broken.pk, sound.pk])
    sound.refresh_from_db()
    assert sound.standing == Standing.CHECKED


def test_a_second_person_validates_with_a_note(agent: Agent, ada: User, eve: User) -> None:
    calculation = checked(agent, ada)
    standing.validate(calculation, actor=eve, note="agrees with the paper")
    calculation.refresh_from_db()
    assert (calculation.standing, calculation.standing_by) == (Standing.VALIDATED, eve)
    event = last(calculation)
    assert (event.verb, event.source, event.target) == ("validate", "checked", "validated")
    assert (event.actor, event.note) == (eve, "agrees with the paper")
    assert AuditEntry.objects.filter(verb="calculation.validate").exists()


def test_nobody_validates_their_own(agent: Agent, root: User) -> None:
    calculation = checked(agent, root)
    with pytest.raises(NotAllowed, match="own"):
        standing.validate(calculation, actor=root)
    assert last(calculation).verb == "check"


def test_nor_what_they_submitted_for_somebody_else(
    agent: Agent, ada: User, max: User, root: User
) -> None:
    calculation = submitted(ada)
    calculation.events.filter(verb="submit").update(actor=max)
    executed(agent, calculation)
    standing.check([calculation.pk])
    with pytest.raises(NotAllowed, match="submitted"):
        standing.validate(calculation, actor=max)
    standing.validate(calculation, actor=root)


@pytest.mark.usefixtures("bounds")
def test_in_spite_of_a_bound_one_validates_with_words_alone(
    agent: Agent, ada: User, eve: User
) -> None:
    calculation = checked(agent, ada, energy(12.0))
    with pytest.raises(InvalidInput, match="say why"):
        standing.validate(calculation, actor=eve)
    standing.validate(calculation, actor=eve, note="an excited state")
    assert calculation.standing == Standing.VALIDATED
    assert any(line.startswith("FAILS: Energy 12 eV") for line in last(calculation).evidence)


def test_nobody_validates_what_is_not_stored(agent: Agent, ada: User, eve: User) -> None:
    calculation = valid(agent, ada)
    Quantity.objects.all().delete()
    standing.check([calculation.pk])
    with pytest.raises(WrongMoment, match="no stored results"):
        standing.validate(calculation, actor=eve, note="trust me")


def test_the_author_retracts_with_a_reason_and_moderators_hear_nothing(
    agent: Agent, ada: User
) -> None:
    calculation = checked(agent, ada)
    with pytest.raises(InvalidInput, match="say why"):
        standing.retract(calculation, actor=ada, reason="  ")
    standing.retract(calculation, actor=ada, reason="wrong pseudopotential")
    calculation.refresh_from_db()
    assert calculation.standing == Standing.RETRACTED
    assert calculation.standing_reason == "wrong pseudopotential"
    assert last(calculation).verb == "retract"
    assert not Notification.objects.filter(subject__contains="retracted").exists()


def test_a_moderator_retracts_what_others_made_and_they_are_told(
    agent: Agent, ada: User, max: User
) -> None:
    calculation = checked(agent, ada)
    standing.retract(calculation, actor=max, reason="wrong cell")
    told = Notification.objects.get(user=ada)
    assert told.subject == f"{calculation.number} Water: retracted"
    assert told.body == "By max: wrong cell"


def test_another_user_does_not_retract(agent: Agent, ada: User, eve: User) -> None:
    with pytest.raises(NotAllowed):
        standing.retract(checked(agent, ada), actor=eve, reason="I do not like it")


def test_restored_they_are_checked_again_and_not_validated(
    agent: Agent, ada: User, eve: User
) -> None:
    calculation = checked(agent, ada)
    standing.validate(calculation, actor=eve)
    standing.retract(calculation, actor=ada, reason="wrong cell")
    standing.restore(calculation, actor=ada, reason="the cell was right")
    calculation.refresh_from_db()
    assert calculation.standing == Standing.CHECKED
    verbs = list(calculation.events.order_by("id").values_list("verb", flat=True))[-3:]
    assert verbs == ["retract", "restore", "check"]


def test_the_author_does_not_restore_what_a_moderator_retracted(
    agent: Agent, ada: User, max: User
) -> None:
    calculation = checked(agent, ada)
    standing.retract(calculation, actor=max, reason="wrong cell")
    with pytest.raises(NotAllowed):
        standing.restore(calculation, actor=ada, reason="no")
    standing.restore(calculation, actor=max, reason="mistaken")


def test_changed_results_are_checked_anew(agent: Agent, ada: User, eve: User) -> None:
    calculation = checked(agent, ada)
    standing.validate(calculation, actor=eve)
    standing.change_results(calculation, actor=ada, why="dipole analysed again")
    calculation.refresh_from_db()
    assert calculation.standing == Standing.CHECKED
    verbs = list(calculation.events.order_by("id").values_list("verb", flat=True))[-2:]
    assert verbs == ["change_results", "check"]


def test_what_was_retracted_stays_so_when_results_change(agent: Agent, ada: User) -> None:
    calculation = checked(agent, ada)
    standing.retract(calculation, actor=ada, reason="wrong cell")
    standing.change_results(calculation, actor=ada, why="analysed again")
    calculation.refresh_from_db()
    assert calculation.standing == Standing.RETRACTED


def test_a_calculation_that_leaves_valid_loses_its_standing(
    agent: Agent, ada: User, monkeypatch: Any
) -> None:
    calculation = checked(agent, ada)
    table = {"extend": Transition("extend", frozenset({"valid"}), "queued")}
    monkeypatch.setitem(TABLES, (Calculation, "state"), table)
    advance(calculation, "extend", actor=ada, note="five points more")
    calculation.refresh_from_db()
    assert (calculation.state, calculation.standing) == ("queued", UNCHECKED)
    event = last(calculation)
    assert (event.verb, event.note) == ("change_results", "five points more")


def test_a_run_that_failed_has_no_standing(agent: Agent, ada: User, eve: User) -> None:
    calculation = submitted(ada)
    placement.place()
    agent.exchange()
    agent.tell(calculation.runs.get().pk, "finished", **report(verdict="failed"))
    agent.exchange()
    standing.check([calculation.pk])
    calculation.refresh_from_db()
    assert (calculation.state, calculation.standing) == ("failed", UNCHECKED)
    for act in (
        lambda: standing.validate(calculation, actor=eve),
        lambda: standing.retract(calculation, actor=ada, reason="x"),
        lambda: standing.restore(calculation, actor=ada, reason="x"),
    ):
        with pytest.raises((WrongMoment, NotAllowed)):
            act()
    lifecycle.retry(calculation, actor=ada)


@pytest.mark.parametrize(
    ("verb", "source", "role"), list(itertools.product(STANDING_TRANSITIONS, STANDINGS, Role))
)
def test_the_table_decides_from_where_and_by_whom(
    db: None, verb: str, source: str, role: Role
) -> None:
    """Each verb from each standing by each role: moved with its event, or refused without one."""
    actor = UserFactory(role=role)
    calculation = submitted(UserFactory())
    Calculation.objects.filter(pk=calculation.pk).update(standing=source, state="valid")
    calculation.refresh_from_db()
    before = calculation.events.count()
    transition = STANDING_TRANSITIONS[verb]
    allowed = transition.needs is None or can(actor, transition.needs)
    move = Move(calculation, verb, note="why", column="standing")
    if allowed and source in transition.sources:
        advance_all([move], actor=actor)
        calculation.refresh_from_db()
        assert calculation.standing == transition.target
        assert calculation.standing_by == actor
        event = last(calculation)
        assert (event.verb, event.source, event.target) == (verb, source, transition.target)
    else:
        with pytest.raises((NotAllowed, WrongMoment)):
            advance_all([move], actor=actor)
        assert calculation.events.count() == before


@pytest.mark.parametrize(
    ("standing_now", "who", "verbs"),
    [
        (UNCHECKED, "ada", {"retract"}),
        (UNCHECKED, "mia", {"validate"}),
        (Standing.CHECKED, "mia", {"validate"}),
        (Standing.CHECKED, "max", {"validate", "retract"}),
        (Standing.CHECKED, "root", {"validate", "retract"}),
        (Standing.VALIDATED, "mia", set()),
        (Standing.VALIDATED, "ada", {"retract"}),
        (Standing.RETRACTED, "ada", set()),
        (Standing.RETRACTED, "max", {"restore"}),
        (Standing.RETRACTED, "root", {"restore"}),
    ],
)
def test_each_sees_the_verbs_that_are_theirs(
    ada: User, max: User, root: User, standing_now: str, who: str, verbs: set[str]
) -> None:
    people = {"ada": ada, "max": max, "root": root, "mia": UserFactory(username="mia")}
    project = ProjectFactory(private=True, members=[ada, people["mia"]])
    calculation = submitted(ada, project=project)
    Calculation.objects.filter(pk=calculation.pk).update(
        state="valid", standing=standing_now, standing_by=max
    )
    calculation.refresh_from_db()
    found = set(verbs_for(people[who], calculation))
    assert found & {"validate", "retract", "restore"} == verbs
