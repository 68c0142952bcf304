"""Every page as every role, light and dark, on a desk and on a phone: it comes whole, without an
error, a sideways scroll or a grave fault of accessibility. The pictures lie in test-results/pages.
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
#: Who sees the most is looked at with pictures and axe everywhere, a scientist on a desk.
CLOSELY = ("", "root")


@dataclass
class Walk:
    portal: Portal
    walkers: Callable[[str, bool], Walker]
    pages: dict[str, bool] = field(default_factory=dict)

    def is_page(self, person: str, address: str) -> bool:
        if address not in self.pages:
            self.pages[address] = is_page(self.walkers(person, False).context, address)
        return self.pages[address]


@pytest.fixture(scope="module")
def walk(
    portal: Portal, new_context: Callable[..., BrowserContext], pictures: Path
) -> Iterator[Walk]:
    portal.wait_for()
    portal.learn()
    made: dict[tuple[str, bool], Walker] = {}

    def walker(name: str, phone: bool) -> Walker:
        if (name, phone) not in made:
            label = f"{name or 'nobody'}-{'phone' if phone else 'desk'}"
            made[name, phone] = Walker(new_context(name, phone=phone), pictures, label, phone=phone)
        return made[name, phone]

    yield Walk(portal, walker)
    for one in made.values():
        one.context.close()


@pytest.mark.parametrize(("route", "person"), VISITS, ids=str)
def test_a_page_is_whole_or_refused(walk: Walk, route: Route, person: str) -> None:
    """Every address for an admin, the first of each route for the others."""
    found = addresses(route, walk.portal.things)
    open_to = is_open_to(route, person)
    complaints = []
    for number, address in enumerate(found if person == "root" else found[:1]):
        last = address.strip("/").rpartition("/")[2]
        name = f"{route.name}-{last}" if number or "tab" in route.parameters else route.name
        if not walk.is_page("root" if person else "", address):
            continue
        for phone in (False, True):
            walker = walk.walkers(person, phone)
            closely = open_to and (person in CLOSELY or (person == "ada" and not phone))
            seen = walker.visit(address, name, closely=closely, refused=not open_to)
            complaints += seen.complaints
            if (seen.status == 200) is not open_to or seen.status not in (200, 403, 404):
                complaints.append(f"{address}: {seen.status}")
    assert not complaints, "\n".join(["", *complaints])


@pytest.mark.parametrize(("name", "route", "arguments"), MORE, ids=[one[0] for one in MORE])
def test_a_page_is_whole_in_every_state(walk: Walk, name: str, route: str, arguments: Any) -> None:
    address = reverse(route, args=arguments(walk.portal.things))
    complaints = []
    for phone in (False, True):
        seen = walk.walkers("root", phone).visit(address, name)
        complaints += seen.complaints
        assert seen.status == 200
    assert not complaints, "\n".join(["", *complaints])
