"""Searching and comparing in a browser: what is understood, what is taken out, what is chosen."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage


def test_a_search_says_what_it_understood_and_lets_go_of_it(open_page: OpenPage) -> None:
    page = open_page("ada", "/search/")
    page.keyboard.press("/")
    field = page.get_by_label("What to search for")
    expect(field).to_be_focused()
    page.keyboard.type("all valid electric runs")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search/?q=all+valid*")
    chips = page.locator(".search-understood .chip")
    expect(chips).to_have_count(2)
    expect(field).to_have_value("state:valid electric")
    chips.first.click()
    expect(page.locator(".search-understood .chip")).to_have_count(1)
    expect(field).to_have_value("electric")


def test_a_refusal_stands_beside_the_field(open_page: OpenPage) -> None:
    page = open_page("ada", "/search/?q=state:vaild")
    expect(page.get_by_role("alert")).to_contain_text("did you mean valid?")
    expect(page.get_by_label("What to search for")).to_have_value("state:vaild")


def test_the_chosen_rows_are_compared(open_page: OpenPage) -> None:
    page = open_page("ada", "/calculations/")
    ticks = page.locator("[data-tick]")
    for place in (0, 1):
        ticks.nth(place).check()
    page.keyboard.press("=")
    page.wait_for_url("**/calculations/compare/?id=*")
    expect(page.locator(".compared-one")).to_have_count(2)
    page.get_by_role("link", name="as reference").click()
    page.wait_for_url("**ref=*")
    expect(page.locator(".compared-one.is-reference")).to_have_count(1)
