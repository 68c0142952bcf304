"""The portal with JavaScript turned off: reading, and the forms of the main job, still work."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage, sign_in
from tests.e2e.portal import Portal


def test_reading_works(portal: Portal, open_page: OpenPage) -> None:
    page = open_page("", "/sign-in/", java_script_enabled=False)
    sign_in(page, "ada")
    page.get_by_role("link", name="Calculations").first.click()
    page.get_by_role("link", name="Water in an electric field").click()
    expect(page.locator(".page-head .state")).to_be_visible()
    for tab in ("Results", "Inputs", "Log", "Timeline", "Files", "Use"):
        page.locator(".tab-row").get_by_role("link", name=tab).click()
        expect(page.locator(".tab-row [aria-current]")).to_have_text(tab)
    page.goto("/calculations/?state=failed")
    expect(page.locator("tbody .state").first).to_have_text("Failed")
    expect(page.get_by_role("button", name="following")).to_have_count(0)


def test_a_calculation_is_made_submitted_and_cancelled(open_page: OpenPage) -> None:
    page = open_page("ada", "/calculations/new/", java_script_enabled=False)
    page.get_by_role("link", name="No operation").click()
    page.get_by_label("Name", exact=True).fill("Without a script")
    page.get_by_label("Program").last.select_option("sleep")
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#draft-side")).to_contain_text("0.167 core-h")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile(r"/calculations/\d+/$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Without a script")
    page.get_by_role("button", name="Cancel…").click()
    expect(page.locator(".page-head .state")).to_have_text(re.compile("Cancelled|Running"))
    expect(page.locator("body")).to_contain_text("cancel")


def test_what_is_wrong_stands_beside_its_field(open_page: OpenPage) -> None:
    page = open_page("ada", "/calculations/new/?software=noop", java_script_enabled=False)
    page.get_by_role("button", name="Submit").click()
    wrong = page.locator(".field", has=page.get_by_label("Name", exact=True))
    expect(wrong.locator(".field-error")).to_contain_text("is needed")


def test_the_navigation_folds_out_on_a_phone(open_page: OpenPage) -> None:
    page = open_page("ada", phone=True, java_script_enabled=False)
    page.get_by_label("Open the navigation").click()
    page.get_by_role("link", name="Clusters", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Clusters")
