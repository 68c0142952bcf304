"""A grid by hand: two axes in the form, the plan of its runs, the matrix that follows them."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.portal import Portal

RUN_SECONDS = 60_000


def _form_of_a_grid(page: Page, name: str) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    first, second = (page.get_by_role("group", name=f"Axis {number}") for number in (1, 2))
    expect(second).to_be_hidden()
    first.get_by_label("Vary").select_option(label="Value")
    first.get_by_label("Values one by one").fill("0 1 2")
    second.get_by_label("And").select_option(label="Program")
    second.get_by_role("button", name="true").click()
    second.get_by_role("button", name="false").click()
    page.get_by_text("side by side", exact=True).click()
    page.locator("[name=walltime_min]").fill("1")


def test_two_axes_make_a_matrix_that_follows_its_runs(portal: Portal, open_page: OpenPage) -> None:
    page = open_page("ada", "/calculations/new/?software=noop")
    _form_of_a_grid(page, "Six by hand")
    plan = page.locator("#plan")
    expect(plan).to_contain_text("6 runs. All side by side.")
    expect(plan.get_by_role("row")).to_have_count(4)
    page.locator("#draft-side").get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile(r"/calculations/\d+/$"))
    page.evaluate("window.neverReloaded = true")
    cells = page.locator("[data-run]")
    expect(cells).to_have_count(6)
    expect(page.locator(".run.is-valid")).to_have_count(3, timeout=RUN_SECONDS)
    expect(page.locator(".run.is-failed")).to_have_count(3, timeout=RUN_SECONDS)
    expect(page.locator("[data-count=valid] [data-number]")).to_have_text("3")
    expect(page.locator(".run.is-valid .run-words").first).to_have_text("0")
    assert page.evaluate("window.neverReloaded") is True


def test_arrows_move_in_the_matrix_and_points_are_added(open_page: OpenPage) -> None:
    page = open_page("ada", "/calculations/new/?software=noop")
    _form_of_a_grid(page, "Six and two")
    page.locator("#draft-side").get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile(r"/calculations/\d+/$"))
    page.locator("[data-run='1']").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-run='2']")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-run='4']")).to_be_focused()
    page.get_by_text("Add points, run some again").click()
    page.get_by_role("link", name="Add points").click()
    page.get_by_label("Value", exact=True).fill("7")
    side = page.locator("#extension")
    expect(side).to_contain_text("2 runs, at most")
    side.get_by_role("button", name="Add 2 runs").click()
    page.wait_for_url(re.compile(r"/calculations/\d+/$"))
    expect(page.locator("[data-run]")).to_have_count(8)


def test_the_form_without_javascript_checks_a_rotation(new_context: Callable[..., object]) -> None:
    with new_context("ada", java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/calculations/new/?software=pyscf")
        page.get_by_label("Name", exact=True).fill("Turned")
        first = page.get_by_role("group", name="Axis 1")
        first.get_by_label("Vary").select_option(label="Rotation of the structure (°)")
        first.get_by_label("Values one by one").fill("0 45 90")
        first.get_by_label("Atoms that turn").fill("2-9")
        page.get_by_role("button", name="Check").click()
        expect(page.locator("#draft-side")).to_contain_text("but the structure has 3")
        first.get_by_label("Atoms that turn").fill("2-3")
        page.get_by_role("button", name="Check").click()
        expect(page.locator("#plan")).to_contain_text("45°")
