"""What was derived from retracted results: flagged however deep, cleared when nothing explains
it.
"""

from __future__ import annotations

from typing import Any

import pytest

from calculations.models import Calculation
from calculations.services import doubt, standing
from labportal.accounts.models import User
from labportal.common.errors import WrongMoment
from labportal.notifications.models import Notification
from tests.calculations.factories import draft
from tests.calculations.standings import checked, derived, saved_from
from tests.clusters.factories import Agent, cluster


@pytest.fixture
def agent(root: Any) -> Agent:
    agent = Agent(cluster("metis", slots=8), root)
    agent.exchange()
    return agent


def doubts(*calculations: Calculation) -> list[str]:
    found = dict(Calculation.objects.values_list("pk", "doubt"))
    return [found[c.pk] for c in calculations]


@pytest.fixture
def line(agent: Agent, ada: User, max: User) -> list[Calculation]:
    """Three calculations, each with a structure from the one before; the last one is max's."""
    made = [checked(agent, ada), checked(agent, ada), checked(agent, max)]
    derived(made[0], made[1])
    derived(made[1], made[2])
    return made


def test_everything_derived_is_flagged(line: list[Calculation], ada: User) -> None:
    first, second, third = line
    standing.retract(first, actor=ada, reason="wrong cell")
    words = f"derived from {first.number}, which was retracted: wrong cell"
    assert doubts(*line) == ["", words, words]
    second = Calculation.objects.get(pk=second.pk)
    assert second.standing == "checked"
    assert not second.is_trusted
    assert second.structure.doubt == f"from {first.number}, which was retracted: wrong cell"
    assert Calculation.objects.get(pk=third.pk).structure.doubt == words


def test_the_authors_of_what_is_derived_are_told_once(
    line: list[Calculation], ada: User, max: User
) -> None:
    first, _, third = line
    standing.retract(first, actor=ada, reason="wrong cell")
    told = Notification.objects.get(user=max)
    assert told.subject == f"{first.number} was retracted: 1 of yours in doubt"
    assert told.url == third.get_absolute_url()
    standing.restore(first, actor=ada, reason="the cell was right")
    assert Notification.objects.filter(user=max, subject__contains="no longer in doubt").exists()


def test_restoring_clears_what_no_other_retraction_explains(
    line: list[Calculation], ada: User
) -> None:
    first, second, third = line
    standing.retract(first, actor=ada, reason="wrong cell")
    standing.retract(second, actor=ada, reason="wrong basis")
    assert doubts(third) == [
        f"derived from {first.number} and 1 more, which were retracted: wrong cell"
    ]
    first.refresh_from_db()
    standing.restore(first, actor=ada, reason="right after all")
    assert doubts(*line) == [
        "",
        "",
        f"derived from {second.number}, which was retracted: wrong basis",
    ]
    second.refresh_from_db()
    standing.restore(second, actor=ada, reason="right after all")
    assert doubts(*line) == ["", "", ""]


def test_a_circle_of_structures_ends(line: list[Calculation], ada: User) -> None:
    first, _, third = line
    derived(third, first)
    standing.retract(first, actor=ada, reason="wrong cell")
    words = f"derived from {first.number}, which was retracted: wrong cell"
    assert doubts(*line) == ["", words, words]
    standing.restore(first, actor=ada, reason="right after all")
    assert doubts(*line) == ["", "", ""]


def test_a_sweep_over_structures_is_derived_from_each(
    agent: Agent, ada: User, line: list[Calculation]
) -> None:
    first, second, _ = line
    sweep = {
        "axes": [
            {"parameter": "value", "values": [1]},
            {"parameter": "structure", "structures": [second.structure_id, 10**9]},
        ]
    }
    swept = checked(agent, ada)
    Calculation.objects.filter(pk=swept.pk).update(sweep=sweep)
    standing.retract(first, actor=ada, reason="wrong cell")
    assert doubts(swept) == [f"derived from {first.number}, which was retracted: wrong cell"]


def test_what_is_made_later_inherits_the_doubt(line: list[Calculation], ada: User) -> None:
    first, second, _ = line
    standing.retract(first, actor=ada, reason="wrong cell")
    late = draft(ada)
    derived(second, late)
    doubt.inherit([late])
    assert late.doubt.startswith("derived from")
    assert doubts(late) == [f"derived from {first.number}, which was retracted: wrong cell"]


def test_a_draft_with_such_a_structure_says_so_from_the_beginning(
    agent: Agent, ada: User, django_assert_num_queries: Any
) -> None:
    source = checked(agent, ada)
    standing.retract(source, actor=ada, reason="wrong cell")
    structure = saved_from(source.runs.get(), actor=ada)
    made = draft(ada, structure=structure, software="pyscf", parameters={})
    assert made.structure_id == structure.pk
    assert made.doubt == f"derived from {source.number}, which was retracted: wrong cell"


def test_what_is_in_doubt_cannot_be_validated(
    line: list[Calculation], ada: User, eve: User
) -> None:
    standing.retract(line[0], actor=ada, reason="wrong cell")
    with pytest.raises(WrongMoment, match="derived from"):
        standing.validate(line[1], actor=eve)


def test_long_reasons_are_cut_to_the_column(line: list[Calculation], ada: User) -> None:
    standing.retract(line[0], actor=ada, reason="x" * 2000)
    assert len(doubts(line[1])[0]) == 500
