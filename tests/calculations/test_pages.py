"""The pages of calculations: what they show, to whom, and at how many queries."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from calculations.models import Calculation
from calculations.services import submission
from calculations.states import CalculationState
from tests.calculations.factories import chain, draft, submitted
from tests.calculations.outcomes import SWEEP, begin, run_through, water
from tests.clusters.factories import cluster
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db

TABS = ("results", "inputs", "log", "timeline", "files", "use")


def page(client: Client, name: str, /, *args: Any, **query: Any) -> str:
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200, answer.content[:500]
    return answer.content.decode()


def post(client: Client, name: str, /, *args: Any, **fields: Any) -> Any:
    return client.post(reverse(name, args=args), fields, follow=True)


def as_person(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def ada_browses(ada: Any) -> Client:
    return as_person(ada)


@pytest.fixture
def field(ada: Any) -> Calculation:
    """A finished chain of three runs of water in a field."""
    calculation = water(ada, sweep=SWEEP)
    run_through(calculation, cluster())
    return calculation


def test_an_empty_dashboard_offers_the_first_step(ada_browses: Client) -> None:
    text = page(ada_browses, "dashboard")
    assert "Nothing needs you now." in text
    assert reverse("calculation-new") in text


def test_the_dashboard_shows_what_runs_waits_and_came_out(ada: Any, ada_browses: Client) -> None:
    site = cluster(slots=3)
    running = water(ada, sweep=SWEEP, name="Runs now")
    begin(running.runs.first(), site, {"done": 4, "of": 12, "what": "SCF iteration"})
    run_through(water(ada, name="Came out"), site)
    submitted(ada, name="Waits still", cluster=cluster("tesla", enabled=True, slots=0))
    text = page(ada_browses, "dashboard")
    assert "run 1 of 3, SCF iteration 4 of 12" in text
    assert "−465.8" in text and "Came out" in text
    assert "Waits for a free slot on tesla" in text


def test_reviews_need_the_moderator_and_nobody_else(ada: Any, max: Any) -> None:
    submitted(ada, cores=100, walltime_s=3600)
    assert "1 to review" in page(as_person(max), "dashboard")
    assert "to review" not in page(as_person(ada), "dashboard")


def test_pages_cost_the_same_however_many_rows_there_are(
    ada: Any, max: Any, django_assert_max_num_queries: Any
) -> None:
    for count in range(12):
        chain(ada, name=f"Chain {count}")
        submitted(ada, name=f"Large {count}", cores=100, walltime_s=3600)
    browser = as_person(max)
    for name, most in (("dashboard", 26), ("calculation-list", 16), ("review-list", 16)):
        with django_assert_max_num_queries(most):
            page(browser, name)


@pytest.mark.parametrize("tab", ["", *TABS])
def test_each_tab_of_a_finished_sweep_costs_a_fixed_number_of_queries(
    ada_browses: Client, field: Calculation, tab: str, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(24):
        text = page(ada_browses, "calculation-detail", field.pk, *([tab] if tab else []))
    assert "Water in a field" in text
    assert "Polarizability" in text


@pytest.mark.parametrize("tab", ["", *TABS])
def test_each_tab_of_a_draft_is_there(ada: Any, ada_browses: Client, tab: str) -> None:
    made = draft(ada)
    page(ada_browses, "calculation-detail", made.pk, *([tab] if tab else []))


def test_an_unknown_tab_is_not_found(ada: Any, ada_browses: Client) -> None:
    made = draft(ada)
    answer = ada_browses.get(reverse("calculation-detail", args=[made.pk, "secrets"]))
    assert answer.status_code == 404


def test_a_calculation_of_a_private_project_is_not_there_for_others(ada: Any, eve: Any) -> None:
    hidden = draft(ada, project=ProjectFactory(private=True, members=[ada]), name="Secret")
    browser = as_person(eve)
    for name in ("calculation-detail", "calculation-edit"):
        assert browser.get(reverse(name, args=[hidden.pk])).status_code == 404
    assert browser.get(reverse("calculation-new"), {"from": hidden.pk}).status_code == 404
    assert "Secret" not in page(browser, "calculation-list")


def test_who_is_not_signed_in_goes_to_sign_in(client: Client) -> None:
    answer = client.get(reverse("calculation-list"), {"state": "valid"})
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/?next=")


def test_the_list_is_narrowed_by_its_address(ada: Any, max: Any, ada_browses: Client) -> None:
    draft(ada, name="Left alone")
    submitted(max, name="Sent in")
    assert "Sent in" not in page(ada_browses, "calculation-list", state="draft")
    assert "Left alone" not in page(ada_browses, "calculation-list", person="max")
    assert "Left alone" in page(ada_browses, "calculation-list", q="left")
    assert "Nothing matches" in page(ada_browses, "calculation-list", q="no such words")


def test_a_long_list_is_paged_and_each_row_stands_on_one_page(
    ada: Any, ada_browses: Client
) -> None:
    for count in range(60):
        draft(ada, name=f"Draft {count:02d}")
    for sort in ("new", "name", "-name", "state", "result", "moved", "no such column"):
        seen, address = [], f"{reverse('calculation-list')}?sort={sort}"
        while address:
            shown = ada_browses.get(address).context["page"]
            seen += [row.pk for row in shown.rows]
            address = shown.older_url
        assert len(seen) == len(set(seen)) == 60, sort


def test_a_broken_place_in_the_list_shows_its_beginning(ada: Any, ada_browses: Client) -> None:
    draft(ada, name="The only one")
    for after in ("x", "bnVsbA", "WzEsMl0=", "é", "W10"):
        assert "The only one" in page(ada_browses, "calculation-list", after=after, sort="moved")


def test_a_verb_for_many_does_what_it_can_and_says_the_rest(ada: Any, ada_browses: Client) -> None:
    waiting, left = submitted(ada), draft(ada)
    answer = post(ada_browses, "calculation-bulk", verb="cancel", id=[waiting.pk, left.pk])
    waiting.refresh_from_db()
    assert waiting.state == CalculationState.CANCELLED
    text = answer.content.decode()
    assert "1 cancelled." in text and f"{left.number} is draft" in text


def test_a_bulk_form_never_leads_away_from_the_portal(ada_browses: Client) -> None:
    answer = ada_browses.post(reverse("calculation-bulk"), {"next": "https://evil.example/"})
    assert answer["Location"] == reverse("calculation-list")


def entered(**changes: Any) -> dict[str, Any]:
    return {
        "software": "noop",
        "name": "From the form",
        "project": "lab",
        "p_value": "2.5",
        "p_program": "true",
        "p_seconds": "60",
        "cores": "1",
        "memory_gib": "0.5",
        "walltime_min": "10",
        "verb": "save",
        **changes,
    }


@pytest.fixture
def form(ada: Any) -> dict[str, Any]:
    from tests.factories import default_project

    return entered(project=default_project().slug)


def test_the_form_saves_a_draft(ada_browses: Client, form: dict[str, Any]) -> None:
    post(ada_browses, "calculation-new", **form)
    made = Calculation.objects.get()
    assert made.state == CalculationState.DRAFT
    assert made.parameters["value"] == 2.5
    assert (made.memory_mib, made.walltime_s) == (512, 600)


def test_the_form_submits_a_sweep(ada_browses: Client, form: dict[str, Any]) -> None:
    vary = {"vary": "value", "vary_from": "0", "vary_to": "1", "vary_points": "5"}
    post(
        ada_browses,
        "calculation-new",
        **form | vary | {"verb": "submit", "vary_mode": "independent"},
    )
    made = Calculation.objects.get()
    assert made.state == CalculationState.QUEUED
    assert made.sweep["axes"][0]["values"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert made.runs.count() == 5


@pytest.mark.parametrize(
    ("field_name", "value", "words"),
    [
        ("name", "", "say in a few words"),
        ("p_value", "much", "is not a number"),
        ("p_seconds", "-1", "below the least allowed value"),
        ("cores", "0", "must be between"),
        ("vary_points", "0", "whole number of at least 1"),
    ],
)
def test_an_error_stands_beside_its_field_and_nothing_is_stored(
    ada_browses: Client, form: dict[str, Any], field_name: str, value: str, words: str
) -> None:
    vary = {"vary": "value", "vary_from": "0", "vary_to": "1", "vary_points": "2"}
    wrong = form | vary | {"vary_mode": "independent", field_name: value}
    answer = ada_browses.post(reverse("calculation-new"), wrong)
    assert answer.status_code == 400
    assert words in " ".join(answer.context["form"].errors[field_name])
    assert f'id="id_{field_name}_error"' in answer.content.decode()
    assert not Calculation.objects.exists()


def test_what_lacks_its_files_is_kept_as_a_draft_that_says_so(
    ada_browses: Client, form: dict[str, Any]
) -> None:
    from calculations.software.registry import get_software

    siesta = {
        f"p_{p.name}": p.default
        for p in get_software("siesta").parameters
        if p.default not in (None, False)
    }
    answer = post(
        ada_browses, "calculation-new", **form | siesta | {"software": "siesta", "verb": "submit"}
    )
    assert Calculation.objects.get().state == CalculationState.DRAFT
    text = answer.content.decode()
    assert "Not submitted" in text and "O.psf" in text


def test_the_preview_counts_and_marks_and_stores_nothing(ada_browses: Client, ada: Any) -> None:
    source = water(ada, sweep=SWEEP)
    text = page(ada_browses, "calculation-new", **{"from": source.pk})
    assert "One chain of 3 runs along external field, y." in text
    assert "from run 2" in text
    assert "is-changed-line" in text and "ExternalElectricField" in text
    assert Calculation.objects.count() == 1


def test_the_preview_of_nonsense_says_what_is_wrong(
    ada_browses: Client, form: dict[str, Any]
) -> None:
    answer = post(ada_browses, "calculation-preview", **form | {"p_value": "much"})
    assert answer.status_code == 200
    assert "Still missing" in answer.content.decode()


def test_a_copy_knows_where_it_comes_from(ada: Any, ada_browses: Client) -> None:
    source = submitted(ada)
    answer = post(ada_browses, "calculation-duplicate", source.pk)
    copy = Calculation.objects.latest("pk")
    assert copy.copied_from == source
    assert answer.redirect_chain[-1][0] == reverse("calculation-edit", args=[copy.pk])


def test_a_verb_at_the_wrong_moment_is_explained_on_the_page(ada: Any, ada_browses: Client) -> None:
    made = draft(ada)
    answer = post(ada_browses, "calculation-cancel", made.pk)
    assert answer.status_code == 200
    assert "there is nothing to cancel" in answer.content.decode()


def test_verbs_want_a_post(ada: Any, ada_browses: Client) -> None:
    made = draft(ada)
    for verb in ("submit", "cancel", "retry", "duplicate", "delete", "withdraw"):
        assert ada_browses.get(reverse(f"calculation-{verb}", args=[made.pk])).status_code == 405
    assert Calculation.objects.filter(pk=made.pk).exists()


def figure_of(text: str, key: str) -> dict[str, Any]:
    start = text.index(">", text.index(f'id="data-{key}"')) + 1
    return json.loads(text[start : text.index("</script>", start)])


def test_a_figure_comes_with_its_units(ada_browses: Client, field: Calculation) -> None:
    text = page(ada_browses, "calculation-detail", field.pk, "results")
    figure = figure_of(text, "all-polarizability_fit-0")
    assert figure["x"]["unit"] == "V/Å"
    assert figure["x"]["values"] == [0.0, 0.1, 0.2]
    assert [column["style"] for column in figure["y"]] == ["markers", "line"]


def test_what_converges_is_drawn_while_it_runs(ada: Any, ada_browses: Client) -> None:
    from calculations.services import execution

    calculation = water(ada)
    run, site = calculation.runs.get(), cluster()
    begin(run, site, {"done": 1, "of": None, "what": "SCF iteration", "monitor": 0.5})
    run.refresh_from_db()
    run.calculation = calculation
    told = {"done": 2, "of": None, "what": "SCF iteration", "monitor": 0.1}
    execution.record_running([run], {run.pk: {"state": "running", "progress": told}}, agent="a")
    figure = figure_of(page(ada_browses, "calculation-detail", calculation.pk), "live-0")
    assert figure["y"][0]["values"] == [0.5, 0.1]
    assert figure["log_y"] is True
    assert 'class="spark"' in page(ada_browses, "dashboard")


def test_a_result_that_is_not_valid_is_not_shown_as_a_result(ada: Any, ada_browses: Client) -> None:
    from tests.calculations.outcomes import end

    calculation = water(ada)
    end(begin(calculation.runs.get(), cluster()), -200.123, 1.0, verdict="not_valid")
    for name in ("calculation-list", "dashboard"):
        text = page(ada_browses, name)
        assert "it is not_valid" in text and "200.123" not in text
    text = page(ada_browses, "calculation-detail", calculation.pk)
    assert "mix less" in text and "200.123" not in text


def test_names_are_escaped_everywhere(ada: Any, max: Any) -> None:
    evil = "<script>alert(1)</script>"
    submitted(ada, name=evil, description=evil, cores=100, walltime_s=3600)
    made = Calculation.objects.get()
    browser = as_person(max)
    for name, args in (
        ("dashboard", ()),
        ("calculation-list", ()),
        ("review-list", ()),
        ("calculation-detail", (made.pk,)),
    ):
        assert evil not in page(browser, name, *args)


def test_a_moderator_approves_several_at_once(ada: Any, max: Any) -> None:
    large = [submitted(ada, cores=100, walltime_s=3600) for _ in range(2)]
    post(as_person(max), "review-decide", verb="approve", id=[c.pk for c in large])
    states = {c.state for c in Calculation.objects.all()}
    assert states == {CalculationState.QUEUED}


def test_sending_back_without_words_is_refused(ada: Any, max: Any) -> None:
    large = submitted(ada, cores=100, walltime_s=3600)
    answer = post(as_person(max), "review-decide", verb="send_back", id=[large.pk])
    large.refresh_from_db()
    assert large.state == CalculationState.IN_REVIEW
    assert "say what should change" in answer.content.decode()


def test_the_review_shows_what_differs_from_the_last_approved(ada: Any, max: Any) -> None:
    submitted(ada, cores=1)
    submitted(ada, cores=100, walltime_s=3600)
    text = page(as_person(max), "review-list")
    assert "the last approved" in text and "100" in text


def test_a_draft_that_was_sent_back_needs_its_author(ada: Any, max: Any) -> None:
    large = submitted(ada, cores=100, walltime_s=3600)
    submission.send_back(large, actor=max, note="use fewer cores")
    assert "use fewer cores" in page(as_person(ada), "dashboard")


def test_each_table_and_figure_has_its_numbers_as_csv(
    ada_browses: Client, field: Calculation
) -> None:
    text = page(ada_browses, "calculation-detail", field.pk, "results")
    links = re.findall(r'href="([^"]+\.csv)" download', text)
    assert reverse("api-calculation-runs-csv", args=[field.pk]) in links
    assert (
        reverse("api-dataset-csv", args=[figure_of(text, "all-polarizability_fit-0")["dataset"]])
        in links
    )
    assert 'data-save="csv"' in text  # of several runs: the numbers as drawn
    for link in links:
        answer = ada_browses.get(link)
        assert answer.status_code == 200 and answer["Content-Type"].startswith("text/csv")
        assert answer.content.count(b"\r\n") > 1
