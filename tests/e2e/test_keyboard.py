"""The portal without a mouse: search, sections, rows, dialogs, and a form from name to button."""

from __future__ import annotations

import re
from contextlib import suppress

from playwright.sync_api import Locator, Page, TimeoutError, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.portal import Portal

MOST_TABS = 120


def _tab_to(page: Page, wanted: Locator) -> None:
    for _ in range(MOST_TABS):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{MOST_TABS} times Tab do not lead to {wanted}")


def _tabs_stay_in(page: Page, dialog: Locator) -> None:
    """Beside the dialog, only the browser's own bar may be reached, for which body stands."""
    for _ in range(12):
        page.keyboard.press("Tab")
        inside = "dialog => dialog.contains(document.activeElement)"
        outside = "document.activeElement === document.body"
        assert dialog.evaluate(inside) or page.evaluate(outside)


def test_a_slash_goes_to_the_search(open_page: OpenPage) -> None:
    page = open_page("ada")
    page.keyboard.press("/")
    expect(page.get_by_label("Search calculations")).to_be_focused()
    page.keyboard.type("electric field")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search/?q=electric+field")
    found = page.locator("#group-calculations").locator("xpath=ancestor::section")
    expect(found.locator(".row-link").first).to_have_text("Water in an electric field")


def test_g_and_a_letter_go_to_every_section(open_page: OpenPage) -> None:
    page = open_page("root", "/profile/")
    links = page.locator("[data-go]").evaluate_all(
        "links => links.map((link) => [link.dataset.go, link.href])"
    )
    assert len(links) >= 6
    for key, address in links:
        _go(page, key, address)


def _go(page: Page, key: str, address: str) -> None:
    """The two keys belong together for a second and a half, which a busy machine may let pass."""
    for _ in range(3):
        page.wait_for_load_state()  # keys are taken from then on
        page.keyboard.press("g")
        page.keyboard.press(key)
        with suppress(TimeoutError):
            page.wait_for_url(address, timeout=10_000, wait_until="commit")
            return
    page.wait_for_url(address, timeout=1)


def test_rows_are_walked_by_j_and_k_and_opened_by_enter(open_page: OpenPage) -> None:
    page = open_page("ada", "/calculations/")
    rows = page.locator("tbody .row-link")
    for key, place in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        expect(rows.nth(place)).to_be_focused()
    address = rows.nth(1).get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{address}")


def test_x_chooses_a_row_and_shows_its_verbs(open_page: OpenPage) -> None:
    page = open_page("ada", "/calculations/")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("[data-chosen]")).to_have_text("1 chosen")
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


def test_the_keys_are_told_by_a_question_mark(open_page: OpenPage) -> None:
    page = open_page("ada")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    _tabs_stay_in(page, dialog)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_dangerous_verb_asks_and_escape_takes_it_back(
    portal: Portal, open_page: OpenPage
) -> None:
    page = open_page("ada", f"/calculations/{portal.things['calculations']['queued']}/")
    button = page.get_by_role("button", name="Cancel…")
    _tab_to(page, button)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    _tabs_stay_in(page, dialog)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    assert portal.calculation("queued")["state"] == "queued"


def test_a_form_is_filled_and_sent_without_a_mouse(open_page: OpenPage) -> None:
    page = open_page("ada", "/calculations/new/?software=noop")
    _tab_to(page, page.get_by_label("Name", exact=True))
    page.keyboard.type("Typed and never clicked")
    axis = page.get_by_role("group", name="Axis 1")
    _tab_to(page, axis.get_by_label("Vary"))
    page.keyboard.type("Value")
    _tab_to(page, axis.get_by_label("From", exact=True))
    page.keyboard.type("1")
    _tab_to(page, axis.get_by_label("To", exact=True))
    page.keyboard.type("4")
    _tab_to(page, axis.get_by_label("Points", exact=True))
    page.keyboard.type("4")
    expect(page.locator("#plan")).to_contain_text("4 runs")
    _tab_to(page, page.get_by_role("button", name="Save draft"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/calculations/\d+/edit/$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Typed and never clicked")
    points = page.get_by_role("group", name="Axis 1").get_by_label("Points", exact=True)
    expect(points).to_have_value("4")


def test_the_first_tab_skips_the_navigation(open_page: OpenPage) -> None:
    page = open_page("ada")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
