"""A moderator judges what waits, by keyboard alone; the author sees it without asking."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from bench.client import Client
from tests.e2e.conftest import OpenPage
from tests.e2e.portal import Portal
from tests.e2e.seed import PASSWORD

REASON = "Sixty-four cores for a sleep?"


def _submit_something_large(portal: Portal, name: str) -> int:
    with Client(portal.url) as ada:
        ada.sign_in("ada", PASSWORD)
        wishes = {"cores": 4, "walltime_s": 36000, "cluster": portal.things["silent"]}
        made = ada.post("/api/v1/calculations/", {"name": name, "software": "noop", **wishes})
        ada.post(f"/api/v1/calculations/{made['id']}/submit/")
    return int(made["id"])


def _choose(page: Page, name: str) -> None:
    page.wait_for_load_state()  # keys are taken from then on
    rows = page.locator(".case .row-link")
    expect(rows.get_by_text(name, exact=True)).to_be_visible()
    place = rows.all_inner_texts().index(name)
    for _ in range(place + 1):
        page.keyboard.press("j")
    page.keyboard.press("x")


def test_words_that_are_typed_stay_when_another_case_arrives(
    portal: Portal, open_page: OpenPage
) -> None:
    _submit_something_large(portal, "There already")
    page = open_page("max", "/reviews/")
    words = page.get_by_label("Your words to the author")
    words.fill(REASON)
    page.keyboard.press("Tab")
    expect(page.locator(".live-mark")).to_have_text("live")
    _submit_something_large(portal, "Arrives meanwhile")
    expect(page.get_by_role("link", name="Arrives meanwhile", exact=True)).to_be_visible()
    expect(words).to_have_value(REASON)


def test_one_is_approved_and_one_sent_back_with_a_reason(
    portal: Portal, open_page: OpenPage
) -> None:
    good = _submit_something_large(portal, "To approve")
    bad = _submit_something_large(portal, "To send back")
    author = open_page("ada", f"/calculations/{good}/")
    state = author.locator(".page-head .state")
    expect(state).to_have_text("In review")
    expect(author.locator(".live-mark")).to_have_text("live")

    page = open_page("max", "/reviews/")
    _choose(page, "To approve")
    expect(page.locator("[data-chosen]")).to_have_text("1 chosen")
    page.keyboard.press("a")
    expect(page.get_by_role("link", name="To approve", exact=True)).to_have_count(0)
    expect(state).to_have_text("Queued")

    _choose(page, "To send back")
    page.keyboard.press("s")
    expect(page.locator(".toast-note, .note, .field-error").first).to_be_visible()
    expect(page.get_by_role("link", name="To send back", exact=True)).to_be_visible()

    page.goto("/reviews/")
    _choose(page, "To send back")
    words = page.get_by_label("Your words to the author")
    words.focus()
    page.keyboard.type(REASON)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Send back")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="To send back", exact=True)).to_have_count(0)

    author.goto(f"/calculations/{bad}/")
    expect(state).to_have_text("Draft")
    expect(author.locator("body")).to_contain_text(REASON)
