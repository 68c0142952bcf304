"""Every page as every role, light and dark, on a desk and on a phone: it comes whole, without an
error, a sideways scroll or a grave fault of accessibility. With --screenshot=on, pictures of all
lie in test-results/pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import BrowserContext

from tests.e2e.pages import MORE, Walker, addresses, is_open_to, is_page, page_routes
from tests.e2e.portal import Portal
from tests.matrix import Route

#: "" is somebody who is not signed in.
VISITS = [
    (route, person)
    for route in page_routes()
    for person in ([""] if route.name == "sign-in" else ["root", "max", "ada"])
]
#: Who sees the most is looked at with axe everywhere, a scientist at a desk.
CLOSELY = {"": ("desk", "phone"), "root": ("desk", "phone"), "ada": ("desk",)}


@dataclass
class Walk:
    portal: Portal
    walker: Callable[[str], Walker]
    pages: dict[str, bool] = field(default_factory=dict)

    def is_page(self, person: str, address: str) -> bool:
        if address not in self.pages:
            self.pages[address] = is_page(self.walker(person).context, address)
        return self.pages[address]


@pytest.fixture(scope="module")
def walk(
    portal: Portal, new_context: Callable[..., BrowserContext], pictures: Path | None
) -> Iterator[Walk]:
    portal.wait_for()
    portal.learn()
    made: dict[str, Walker] = {}

    def walker(name: str) -> Walker:
        if name not in made:
            widths = ("phone", "desk") if name == "max" else ("desk", "phone")
            label = name or "nobody"
            made[name] = Walker(new_context(name), label, pictures, widths=widths)
        return made[name]

    yield Walk(portal, walker)
    for one in made.values():
        one.context.close()


@pytest.mark.parametrize(("route", "person"), VISITS, ids=str)
def test_a_page_is_whole_or_refused(walk: Walk, route: Route, person: str) -> None:
    """Every address for an admin, the first of each route for the others."""
    found = addresses(route, walk.portal.things)
    open_to = is_open_to(route, person)
    closely = CLOSELY.get(person, ()) if open_to else ()
    complaints = []
    for number, address in enumerate(found if person == "root" else found[:1]):
        last = address.strip("/").rpartition("/")[2]
        name = f"{route.name}-{last}" if number or "tab" in route.parameters else route.name
        if not walk.is_page("root" if person else "", address):
            continue
        seen = walk.walker(person).visit(address, name, closely=closely, refused=not open_to)
        complaints += seen.complaints
        if (seen.status == 200) is not open_to or seen.status not in (200, 403, 404):
            complaints.append(f"{address}: {seen.status}")
    assert not complaints, "\n".join(["", *complaints])


@pytest.mark.parametrize(("name", "route", "arguments"), MORE, ids=[one[0] for one in MORE])
def test_a_page_is_whole_in_every_state(walk: Walk, name: str, route: str, arguments: Any) -> None:
    address = reverse(route, args=arguments(walk.portal.things))
    seen = walk.walker("root").visit(address, name)
    assert seen.status == 200
    assert not seen.complaints, "\n".join(["", *seen.complaints])
