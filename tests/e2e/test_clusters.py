"""An admin brings in a machine: its key is seen once, its agent heard; then it is shut, opened."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.e2e.portal import Portal

NAME = "tesla-2"


def test_a_cluster_is_registered_and_heard(portal: Portal, open_page: OpenPage) -> None:
    page = open_page("root", "/clusters/")
    page.keyboard.press("c")
    page.get_by_label("Name").fill(NAME)
    page.get_by_role("button", name="Register").click()
    page.wait_for_url(lambda address: "/new/" not in address)
    page.goto(f"/clusters/{NAME}/agent/")
    page.get_by_role("button", name="Issue a key").click()
    secret = page.locator(".key-shown code").inner_text()
    assert re.fullmatch(r"lpk_\w+_[\w-]+", secret)
    codes = page.locator(".install > .copy-line code")
    expect(codes).to_have_count(3)
    lines = codes.all_inner_texts()
    assert [line.split()[0] for line in lines] == ["curl", "python3", "python3"]
    assert secret in lines[1]
    first_call = page.locator("#first-call")
    expect(first_call).to_contain_text("Waiting for its first call")

    portal.stack.keys.append((0, NAME, secret))
    portal.stack.start_agent(2, slots=1)
    expect(first_call).to_contain_text("Heard", timeout=30_000)
    expect(first_call.locator(".note")).to_have_class(re.compile("is-good"))
    portal.stack.stop("agent-2")
    # Or it would get runs of other tests until it counts as silent.
    portal.api.post(f"/api/v1/clusters/{NAME}/disable/", {"note": "taken away again"})

    page.goto(f"/clusters/{NAME}/agent/")
    assert secret not in page.content()
    expect(page.locator(".keys")).to_contain_text("last used")


def test_a_cluster_is_disabled_and_enabled(portal: Portal, open_page: OpenPage) -> None:
    name = portal.things["silent"]
    page = open_page("root", f"/clusters/{name}/")
    page.get_by_role("link", name="Disable…").click()
    dialog = page.get_by_role("dialog", name=f"Disable {name}?")
    dialog.get_by_role("textbox").fill("new disks")
    dialog.get_by_role("button", name="Disable").click()
    state = page.locator(".page-head .state")
    expect(state).to_have_text("Disabled")
    expect(page.locator(".page-head")).to_contain_text("new disks")
    page.get_by_role("button", name="Enable").click()
    expect(state).not_to_have_text("Disabled")


def test_a_machine_s_metrics_are_drawn_over_the_width(portal: Portal, open_page: OpenPage) -> None:
    page = open_page("ada", f"/clusters/{portal.things['cluster']}/")
    charts = page.locator("[data-chart]")
    expect(charts.locator("canvas")).to_have_count(charts.count())
    for chart in charts.all():
        inner = chart.locator(".u-over").bounding_box()
        outer = chart.bounding_box()
        assert inner and outer
        assert inner["width"] > outer["width"] * 0.7, (inner, outer)
