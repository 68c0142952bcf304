"""Many rows at once in a browser, and the two ways back: Undo in the message, and the bin."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from bench.client import Client
from tests.e2e.conftest import OpenPage
from tests.e2e.portal import Portal
from tests.e2e.seed import PASSWORD


@pytest.fixture
def drafts(portal: Portal) -> list[str]:
    names = ["Thrown away, one", "Thrown away, two"]
    with Client(portal.url) as ada:
        ada.sign_in("ada", PASSWORD)
        for name in names:
            ada.post("/api/v1/calculations/", {"name": name, "software": "noop"})
    return names


def _delete_all(page: Page) -> None:
    page.wait_for_load_state()  # who ticks is counted from then on
    page.get_by_label("Choose all on this page").check()
    expect(page.locator("[data-chosen]")).to_have_text("2 chosen")
    page.locator("[data-bulk]").get_by_text("More").click()
    page.get_by_role("button", name="Delete drafts…").click()
    dialog = page.get_by_role("dialog", name="Delete 2 drafts?")
    dialog.get_by_role("button", name="Delete them").click()
    expect(page.get_by_text("Nothing matches")).to_be_visible()


def test_deleted_drafts_come_back_by_undo_and_out_of_the_bin(
    drafts: list[str], open_page: OpenPage
) -> None:
    page = open_page("ada", '/calculations/?text="thrown away"&state=draft')
    expect(page.locator("tbody .row-link")).to_have_text(drafts[::-1])
    _delete_all(page)
    page.locator(".toast-note").get_by_role("button", name="Undo").click()
    expect(page.locator("tbody .row-link")).to_have_text(drafts[::-1])

    _delete_all(page)
    page.locator(".page-head").get_by_text("More").click()
    page.get_by_role("link", name="Bin").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Bin")
    for name in drafts:
        expect(page.locator("[data-row]").filter(has_text=name)).to_have_count(1)
    page.get_by_role("button", name=f"Take back {drafts[0]}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(drafts[0])
    page.goto("/calculations/bin/")
    expect(page.locator("[data-row]").filter(has_text=drafts[0])).to_have_count(0)
    expect(page.locator("[data-row]").filter(has_text=drafts[1])).to_have_count(1)
