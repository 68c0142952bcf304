"""Regions that are fetched anew when their topic speaks show what was told last, however slow or
broken an answer is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.portal import Portal

NAME = "Answered meanwhile"
RENAME = """
from calculations.models import Calculation
from labportal.realtime.events import publish
Calculation.objects.filter(pk=%d).update(name="%s")
publish("calculation:%d", "calculation.changed", {"id": %d, "state": "cancelled"})
print("null")
"""


class Watched:
    """A page of a calculation that nobody else changes, and how its first fetch is answered."""

    def __init__(self, portal: Portal, page: Page, key: int) -> None:
        self.portal, self.page, self.key = portal, page, key
        self.first: Callable[[Route], None] = Route.continue_
        self.asked = 0

    def rename(self, name: str) -> None:
        self.portal.stack.python(RENAME % (self.key, name, self.key, self.key))

    def on_fetch(self, route: Route) -> None:
        self.asked += "x-live" in route.request.headers
        if self.asked == 1:
            return self.first(route)
        return route.continue_()

    def until_asked(self, times: int) -> None:
        for _ in range(100):
            if self.asked >= times:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"asked {self.asked} times, not {times}")


@pytest.fixture
def watched(portal: Portal, open_page: OpenPage) -> Iterator[Watched]:
    key = portal.things["calculations"]["cancelled"]
    page = open_page("ada", f"/calculations/{key}/")
    expect(page.locator("[data-live-mark]")).to_have_text("live")
    name = page.locator("h1").inner_text()
    watched = Watched(portal, page, key)
    page.route(f"**/calculations/{key}/", watched.on_fetch)
    yield watched
    page.unroute_all(behavior="ignoreErrors")
    watched.rename(name)


def test_what_changes_while_an_answer_is_on_its_way_is_shown(watched: Watched) -> None:
    held: list[tuple[Route, APIResponse]] = []
    watched.first = lambda route: held.append((route, route.fetch()))
    watched.rename("Asked before")
    watched.until_asked(1)
    watched.rename(NAME)
    watched.page.wait_for_timeout(2000)  # what was told is due to be fetched meanwhile
    [(route, answer)] = held
    route.fulfill(response=answer)
    expect(watched.page.locator("h1")).to_have_text(NAME)


def test_a_region_whose_answer_is_lost_is_fetched_again(watched: Watched) -> None:
    watched.first = lambda route: route.abort("connectionreset")
    watched.rename(NAME)
    expect(watched.page.locator("h1")).to_have_text(NAME)


def test_a_region_that_the_portal_could_not_answer_is_fetched_again(watched: Watched) -> None:
    watched.first = lambda route: route.fulfill(status=502)
    watched.rename(NAME)
    expect(watched.page.locator("h1")).to_have_text(NAME)


def test_a_region_that_is_refused_is_not_asked_for_again(watched: Watched) -> None:
    watched.first = lambda route: route.fulfill(status=404)
    watched.rename(NAME)
    watched.until_asked(1)
    watched.page.wait_for_timeout(7000)  # longer than until the next try
    assert watched.asked == 1
