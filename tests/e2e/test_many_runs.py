"""A sweep of 1,000 runs in the browser: it follows all of them, and shows what somebody else adds.

How long that holds the page up is measured by `python -m bench matrix_live`.
"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from bench.matrix_live import GO_ON, SWEEP
from tests.e2e.conftest import OpenPage
from tests.e2e.portal import SECONDS, Portal


def _open(portal: Portal, open_page: OpenPage, axes: int) -> tuple[int, Page]:
    key = portal.stack.python(SWEEP % ("ada", axes))
    page = open_page("ada", f"/calculations/{key}/")
    expect(page.locator("[data-live-mark]")).to_have_text("live")
    return key, page


def test_a_thousand_runs_are_followed_in_place(portal: Portal, open_page: OpenPage) -> None:
    key, page = _open(portal, open_page, 2)
    expect(page.locator("[data-run]")).to_have_count(1000)
    page.evaluate("window.neverReloaded = true")
    portal.stack.python(GO_ON % key)
    expect(page.locator(".run.is-valid")).to_have_count(1000, timeout=SECONDS * 1000)
    expect(page.locator("[data-count=valid] [data-number]")).to_have_text("1000")
    expect(page.locator("[data-run][data-value]")).to_have_count(1000, timeout=SECONDS * 1000)
    assert page.evaluate("window.neverReloaded") is True


def test_what_somebody_else_adds_appears_at_once(portal: Portal, open_page: OpenPage) -> None:
    key = portal.stack.python((SWEEP % ("ada", 1)).replace("range(25)", "range(70)"))
    page = open_page("ada", f"/calculations/{key}/")
    expect(page.locator("[data-live-mark]")).to_have_text("live")
    portal.stack.python(GO_ON % key)
    expect(page.locator(".run.is-valid")).to_have_count(70, timeout=SECONDS * 1000)
    wishes: dict[str, Any] = {"axes": [{"parameter": "value", "values": [900, 901]}]}
    page.evaluate("window.neverReloaded = true")
    portal.api.post(f"/api/v1/calculations/{key}/extend/", wishes)
    expect(page.locator("[data-run]")).to_have_count(72)
    assert page.evaluate("window.neverReloaded") is True
