"""What lists show of runs: each of few, shares of many, at the same number of queries."""

from __future__ import annotations

from typing import Any

import pytest

from calculations.models import Calculation, Run
from calculations.selectors import MOST_LISTED, runs_seen
from tests.calculations.factories import chain, draft
from tests.calculations.rest import LIST, api
from tests.calculations.test_pages import as_person, page

pytestmark = pytest.mark.django_db


def sweep(actor: Any, **counts: int) -> Calculation:
    """A calculation with so many runs in each state."""
    made = draft(actor, name="Large sweep")
    states = [state for state, count in counts.items() for _ in range(count)]
    Calculation.objects.filter(pk=made.pk).update(run_count=len(states))
    Run.objects.bulk_create(
        Run(calculation=made, index=index, state=state, main_value=float(index))
        for index, state in enumerate(states)
    )
    return Calculation.objects.get(pk=made.pk)


def test_few_runs_are_listed_and_many_are_counted(ada: Any) -> None:
    few, many = sweep(ada, valid=99, failed=1), sweep(ada, valid=99, failed=2)
    seen = runs_seen([few, many])
    assert seen[few.pk].states == ("valid",) * 99 + ("failed",)
    assert seen[few.pk].values == tuple(float(i) for i in range(99))
    assert seen[many.pk].states is None and seen[many.pk].values == ()
    assert seen[many.pk].counts == {"valid": 99, "failed": 2}
    assert (seen[many.pk].total, seen[many.pk].ended) == (101, 101)


def test_a_large_draft_has_no_runs_yet(ada: Any) -> None:
    made = draft(ada)
    Calculation.objects.update(run_count=MOST_LISTED + 1)
    made.refresh_from_db()
    assert runs_seen([made])[made.pk].states == ()


def test_the_list_costs_the_same_with_one_sweep_or_ten(
    ada: Any, django_assert_max_num_queries: Any
) -> None:
    chain(ada)
    for _ in range(10):
        sweep(ada, valid=90, queued=30)
    shown = list(Calculation.objects.all())
    with django_assert_max_num_queries(2):
        runs_seen(shown)
    browser = as_person(ada)
    with django_assert_max_num_queries(16):
        text = page(browser, "calculation-list")
    assert 'aria-label="120 runs: 90 valid, 30 queued"' in text
    assert text.count('class="cell is-valid"') == 10 * 18


def test_the_interface_lists_states_up_to_a_hundred_and_counts_all(
    ada: Any, django_assert_max_num_queries: Any
) -> None:
    few, many = chain(ada), sweep(ada, valid=150, running=1)
    with django_assert_max_num_queries(8):
        rows = {row["id"]: row for row in api(ada).get(LIST).json()["results"]}
    assert rows[few.pk]["run_states"] == ["queued", "waiting", "waiting"]
    assert rows[few.pk]["run_counts"] == {"queued": 1, "waiting": 2}
    assert rows[many.pk]["run_states"] is None
    assert rows[many.pk]["run_counts"] == {"valid": 150, "running": 1}
    detail = api(ada).get(f"{LIST}{many.pk}/").json()
    assert detail["run_states"] is None and len(detail["runs"]) == 151


def test_a_verbs_answer_counts_the_runs_as_they_are_now(ada: Any) -> None:
    made = chain(ada)
    answer = api(ada).post(f"{LIST}{made.pk}/cancel/").json()
    assert answer["run_counts"] == {"cancelled": 3}


@pytest.mark.parametrize("tab", ["", "results", "inputs", "log", "files"])
def test_the_page_of_a_large_sweep_costs_a_fixed_number_of_queries(
    ada: Any, tab: str, django_assert_max_num_queries: Any
) -> None:
    made, browser = sweep(ada, valid=90, failed=20, queued=40), as_person(ada)
    with django_assert_max_num_queries(24):
        page(browser, "calculation-detail", made.pk, *([tab] if tab else []))
