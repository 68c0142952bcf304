"""The main job by hand: from signing in to a report, with a real program and without a reload."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import sign_in
from tests.e2e.portal import Portal

NAME = "Water, three fields, by hand"
RUN_SECONDS = 60_000


def test_the_main_job(portal: Portal, new_context: Callable[..., BrowserContext]) -> None:
    with new_context("") as context:
        page = context.new_page()
        sign_in(page, "ada")
        address = _submit_a_sweep(page)
        _watch_it_become_valid(page)
        _see_results(page)
        _see_how_it_is_known(page)
        _take_files(page, address)
        page.goto("/notifications/")
        expect(page.get_by_role("main")).to_contain_text(NAME)


def _submit_a_sweep(page: Page) -> str:
    page.keyboard.press("c")
    page.wait_for_url("**/calculations/new/")
    expect(page.get_by_label("Program").locator("[aria-current]")).to_have_text("PySCF")
    page.get_by_label("Name", exact=True).fill(NAME)
    first = page.get_by_role("group", name="Axis 1")
    first.get_by_label("Vary").select_option(label="Electric field, z (a.u.)")
    first.get_by_label("From", exact=True).fill("0")
    first.get_by_label("To", exact=True).fill("0.02")
    first.get_by_label("Points", exact=True).fill("3")
    side = page.locator("#draft-side")
    expect(page.locator("#plan")).to_contain_text("One chain of 3 runs")
    expect(page.locator("#plan tbody tr").last).to_contain_text("from run 2")
    page.locator("#plan").get_by_role("button", name="Show the input of run 3").click()
    expect(page.locator("[name=preview_run]")).to_have_value("3")
    page.locator("#plan").get_by_role("button", name="Show the input of run 2").click()
    expect(side.locator(".badge-soft")).to_have_text(["Electric field, z 0, 0.01, 0.02 a.u."])
    expect(side.locator(".is-changed-line").first).to_contain_text("0.01")
    expect(side).not_to_contain_text("Still missing")
    side.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile(r"/calculations/\d+/$"))
    return page.url


def _watch_it_become_valid(page: Page) -> None:
    page.evaluate("window.neverReloaded = true")
    expect(page.locator(".live-mark")).to_have_text("live")
    bell = page.locator("[data-bell-count]")
    unread = bell.inner_text()
    state = page.locator(".page-head .state")
    expect(state).to_have_text("Running", timeout=RUN_SECONDS)
    first, second, third = page.locator(".matrix-cell .state").all()
    expect(first).to_have_text("Valid", timeout=RUN_SECONDS)
    expect(second).to_have_text("Valid", timeout=RUN_SECONDS)
    expect(third).to_have_text("Valid", timeout=RUN_SECONDS)
    expect(state).to_have_text("Valid", timeout=RUN_SECONDS)
    expect(page.locator(".main-result")).to_contain_text(
        re.compile(r"Polarizability.* ± .* a\.u\."), timeout=RUN_SECONDS
    )
    expect(bell).not_to_have_text(unread)  # the lab's other runs end meanwhile, too
    expect(page.locator(".matrix-cell .cell-note").last).to_have_text(re.compile(r"\d+ iterations"))
    assert page.evaluate("window.neverReloaded")


def _see_results(page: Page) -> None:
    page.get_by_role("link", name="Results", exact=True).click()
    figure = page.locator("#analysis-polarizability")
    expect(figure.locator(".points path.point")).not_to_have_count(0)
    expect(figure.locator("dd").first).to_contain_text("±")
    expect(page.get_by_role("group", name="Quantities of the runs")).to_contain_text("0.02 a.u.")
    titles = page.locator("[data-figure] h2").all_inner_texts()
    assert len(titles) == len(set(titles)), titles


def _see_how_it_is_known(page: Page) -> None:
    page.get_by_role("link", name="Timeline", exact=True).click()
    event = page.locator(".timeline-list > li", has_text="Run 3 valid")
    event.get_by_text("evidence").click()
    expect(event.locator("ul")).to_contain_text("exit code 0")
    for last in ("Calculation valid", "Checked by rule"):
        expect(page.locator(".timeline-list > li", has_text=last)).to_have_count(1)
    page.get_by_role("link", name="Log", exact=True).first.click()
    page.get_by_role("link", name="0.01 a.u.").click()
    expect(page.get_by_role("log")).to_contain_text("SCF converged after")


def _take_files(page: Page, address: str) -> None:
    page.goto(f"{address}files/")
    with page.expect_download() as coming:
        page.get_by_role("link", name="results.json").first.click()
    assert json.loads(Path(coming.value.path()).read_text())["converged"]
    report = page.locator(".menu-item", has_text="PDF").get_attribute("href")
    answer = page.request.get(report)
    assert answer.status == 200
    assert answer.body().startswith(b"%PDF")
