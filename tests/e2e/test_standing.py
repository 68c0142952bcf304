"""A second person validates, the author retracts: both in the page, seen by the other at once."""

from __future__ import annotations

import time

from playwright.sync_api import expect

from bench.client import Client
from tests.e2e.conftest import OpenPage
from tests.e2e.portal import SECONDS, Portal
from tests.e2e.seed import PASSWORD

REASON = "The wrong program was asked."


def _checked(portal: Portal, name: str) -> int:
    """A calculation of ada's that has ended and was checked by rule."""
    with Client(portal.url) as ada:
        ada.sign_in("ada", PASSWORD)
        made = ada.post("/api/v1/calculations/", {"name": name, "software": "noop"})
        ada.post(f"/api/v1/calculations/{made['id']}/submit/")
    deadline = time.monotonic() + SECONDS
    while portal.api.get(f"/api/v1/calculations/{made['id']}/")["standing"] != "checked":
        if time.monotonic() > deadline:
            raise TimeoutError(portal.stack.tail("worker"))
        time.sleep(0.2)
    return int(made["id"])


def test_validated_by_one_and_retracted_by_the_other(portal: Portal, open_page: OpenPage) -> None:
    pk = _checked(portal, "To trust")
    author = open_page("ada", f"/calculations/{pk}/")
    badge = author.locator(".page-head .standing")
    expect(badge).to_have_text("checked")
    expect(author.get_by_role("button", name="Validate…")).to_have_count(0)
    expect(author.locator(".live-mark")).to_have_text("live")

    page = open_page("max", "/reviews/results/")
    page.get_by_role("link", name="To trust", exact=True).click()
    page.wait_for_url(f"**/calculations/{pk}/")  # with its scripts: the dialog needs them
    page.get_by_role("button", name="Validate…").click()
    page.get_by_label("Your words").fill("Looks right.")
    page.locator("#ask-validate").get_by_role("button", name="Validate", exact=True).click()
    expect(page.locator(".page-head .standing")).to_have_text("validated")
    expect(badge).to_have_text("validated")
    expect(page.locator(".live-mark")).to_have_text("live")

    author.locator(".page-actions").get_by_text("More").click()
    author.get_by_role("button", name="Retract…").click()
    ask = author.locator("#ask-retract")
    ask.get_by_role("button", name="Retract them").click()
    expect(ask).to_be_visible()  # the reason is needed
    ask.get_by_label("Why they must not be used").fill(REASON)
    ask.get_by_role("button", name="Retract them").click()
    expect(badge).to_have_text("retracted")
    expect(page.locator(".page-head .standing")).to_have_text("retracted")
    expect(page.locator(".note.is-bad")).to_contain_text(REASON)


def test_several_are_validated_at_once(portal: Portal, open_page: OpenPage) -> None:
    numbers = [_checked(portal, f"Together {number}") for number in (1, 2)]
    page = open_page("max", "/reviews/results/")
    for pk in numbers:
        page.locator(f'[data-key-of="{pk}"] [data-tick]').check()
    page.get_by_role("button", name="Validate…").click()
    page.get_by_role("button", name="Validate them").click()
    expect(page.locator(".toast-note").first).to_contain_text("2 validated")
    for pk in numbers:
        assert portal.api.get(f"/api/v1/calculations/{pk}/")["standing"] == "validated"
