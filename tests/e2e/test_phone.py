"""On a phone: the navigation folds away and opens, and tables are cards."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.e2e.portal import Portal


def test_the_navigation_folds_and_opens(open_page: OpenPage) -> None:
    page = open_page("ada", phone=True)
    link = page.locator("#navigation").get_by_role("link", name="Calculations")
    expect(link).not_to_be_in_viewport()
    page.get_by_label("Open the navigation").click()
    expect(link).to_be_in_viewport()
    page.get_by_label("Close the navigation").click()
    expect(link).not_to_be_in_viewport()
    page.get_by_label("Open the navigation").click()
    link.click()
    page.wait_for_url("**/calculations/")
    expect(link).not_to_be_in_viewport()


def test_a_table_is_cards(open_page: OpenPage) -> None:
    page = open_page("ada", "/calculations/", phone=True)
    expect(page.get_by_role("row").first.locator("th").first).not_to_be_in_viewport()
    card = page.locator("tr[data-row]").first
    box = card.bounding_box()
    assert box
    assert box["width"] <= 390
    label = card.locator("td[data-label=State]").evaluate(
        "cell => getComputedStyle(cell, '::before').content"
    )
    assert label == '"State"'


def test_wide_results_scroll_inside_their_card(portal: Portal, open_page: OpenPage) -> None:
    portal.wait_for(["valid"])
    page = open_page(
        "ada", f"/calculations/{portal.things['calculations']['valid']}/results/", phone=True
    )
    box = page.get_by_role("group", name="Quantities of the runs")
    expect(box).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
