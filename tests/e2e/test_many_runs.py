"""A sweep of 1,000 runs in the browser: it follows all of them without holding the page up, and
shows what somebody else adds.
"""

from __future__ import annotations

import time
from typing import Any

from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.portal import Portal

LONGEST_TASK_MS = 100
SWEEP = """
import json
from calculations.models import Calculation, Run
from calculations.services import drafts
from calculations.services.drafts import DraftSpec
from labportal.accounts.models import Project, User
ada, project = User.objects.get(username="ada"), Project.objects.get(is_default=True)
axes = [{"parameter": "value", "values": list(range(25))},
        {"parameter": "seconds", "values": list(range(1, 41))}]
made = drafts.create(DraftSpec(project=project, name="A thousand", software="noop",
    sweep={"axes": axes[:%d], "mode": "independent"}), actor=ada)
from calculations.services.sweeps import plan_of
Run.objects.bulk_create(Run(calculation=made, index=i, state="waiting", point=list(one.point),
    parameters=one.parameters) for i, one in enumerate(plan_of(made)))
Calculation.objects.filter(pk=made.pk).update(state="running", run_count=made.runs.count())
print(json.dumps(made.pk))
"""
GO_ON = """
import time
from calculations.models import Quantity, Run
from labportal.realtime.events import publish
key = %d
runs = list(Run.objects.filter(calculation=key).order_by("index"))
for first in range(0, len(runs), 100):
    some = runs[first:first + 100]
    Run.objects.filter(pk__in=[run.pk for run in some]).update(state="valid", main_value=1.5)
    Quantity.objects.bulk_create(Quantity(calculation_id=key, run=run, name="energy",
        label="Energy", unit="eV", number=1.0 + run.index) for run in some)
    for run in some:
        publish("calculation:%%d" %% key, "run.changed",
            {"calculation": key, "run": str(run.pk), "index": run.index, "state": "valid"})
    publish("calculation:%%d" %% key, "results.changed", {"id": key})
    time.sleep(0.2)
print("null")
"""
WATCH = """() => {
    window.tasks = [];
    const note = (list) => window.tasks.push(...list.getEntries().map((one) => one.duration));
    new PerformanceObserver(note).observe({ type: "longtask", buffered: false });
}"""


def _open(portal: Portal, open_page: OpenPage, axes: int) -> tuple[int, Page]:
    key = portal.stack.python(SWEEP % axes)
    page = open_page("ada", f"/calculations/{key}/")
    expect(page.locator("[data-live-mark]")).to_have_text("live")
    return key, page


def test_a_thousand_runs_are_followed_without_long_tasks(
    portal: Portal, open_page: OpenPage
) -> None:
    key, page = _open(portal, open_page, 2)
    expect(page.locator("[data-run]")).to_have_count(1000)
    page.wait_for_timeout(2000)  # the page has settled
    page.evaluate(WATCH)
    portal.stack.python(GO_ON % key)
    expect(page.locator(".run.is-valid")).to_have_count(1000)
    expect(page.locator("[data-count=valid] [data-number]")).to_have_text("1000")
    expect(page.locator("[data-run][data-value]")).to_have_count(1000)
    tasks: list[float] = page.evaluate("window.tasks")
    assert max(tasks, default=0) < LONGEST_TASK_MS, tasks


def test_what_somebody_else_adds_appears_at_once(portal: Portal, open_page: OpenPage) -> None:
    key = portal.stack.python((SWEEP % 1).replace("range(25)", "range(70)"))
    page = open_page("ada", f"/calculations/{key}/")
    expect(page.locator("[data-live-mark]")).to_have_text("live")
    portal.stack.python(GO_ON % key)
    expect(page.locator(".run.is-valid")).to_have_count(70)
    wishes: dict[str, Any] = {"axes": [{"parameter": "value", "values": [900, 901]}]}
    began = time.monotonic()
    portal.api.post(f"/api/v1/calculations/{key}/extend/", wishes)
    expect(page.locator("[data-run]")).to_have_count(72, timeout=4000)
    assert time.monotonic() - began < 4
