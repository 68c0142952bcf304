"""Two calculations of the same kind beside each other: what differs first, one chart of both."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from bench.client import Client
from tests.e2e.conftest import OpenPage
from tests.e2e.portal import SECONDS, Portal
from tests.e2e.seed import FIELDS, PASSWORD


@pytest.fixture
def larger_basis(portal: Portal) -> int:
    """The seeded chain over the field again, with another basis and fewer points."""
    wished = {
        "name": "In a larger basis",
        "software": "pyscf",
        "parameters": {"basis": "6-31g"},
        "sweep": {**FIELDS, "values": [0.0, 0.01, 0.02]},
        "analyses": ["dipole", "energy_vs_sweep"],
    }
    with Client(portal.url) as ada:
        ada.sign_in("ada", PASSWORD)
        made = ada.post("/api/v1/calculations/", wished)
        ada.post(f"/api/v1/calculations/{made['id']}/submit/")
    deadline = time.monotonic() + SECONDS
    while portal.api.get(f"/api/v1/calculations/{made['id']}/")["state"] != "valid":
        if time.monotonic() > deadline:
            raise TimeoutError(portal.stack.tail("agent-0"))
        time.sleep(0.2)
    return int(made["id"])


def test_what_differs_stands_first_and_the_charts_lie_over_each_other(
    portal: Portal, larger_basis: int, open_page: OpenPage
) -> None:
    portal.wait_for(["valid"])
    first = portal.things["calculations"]["valid"]
    page = open_page("ada", f"/calculations/compare/?id={first}&id={larger_basis}")
    expect(page.locator(".compared-one")).to_have_count(2)
    parameters = page.locator("section[aria-labelledby=section-parameters]")
    differing = parameters.locator("table").first.get_by_role("row")
    expect(differing.filter(has_text="Basis")).to_contain_text("def2-SVP6-31G")
    expect(parameters.locator("details tbody tr").first).to_be_hidden()
    results = page.locator("section[aria-labelledby=section-results]")
    expect(results.get_by_role("row").filter(has_text="Total energy").first).to_be_visible()
    figure = page.locator("section.figure").first
    expect(figure.locator(".main-svg").first).to_be_visible()
    expect(figure.locator(".scatterlayer .trace")).to_have_count(2)
