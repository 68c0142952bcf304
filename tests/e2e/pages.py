"""The list of pages that the walk visits, out of the URL configuration, and how one is judged.

A route with a parameter that VALUES does not know fails the walk: a new page cannot slip past it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from django.urls import reverse
from playwright.sync_api import BrowserContext, Page

from bench.stack import ROOT
from tests.matrix import Route, routes, rule_for
from tests.matrix_rules import RULES

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
#: What programs ask for, not people.
NOT_FOR_EYES = ("api/v1/", "agent/", "healthz", "readyz", "metrics")
GRAVE = ("serious", "critical")
#: What others draw, and the lines of a log but its first: they would cost minutes and tell nothing.
LEFT_OUT = [
    [".plot-container"],
    [".uplot"],
    [".log-line:nth-child(n+9)"],
    [".code li:nth-child(n+9)"],
]
#: Colours that are on their way to others are judged where they arrive.
STILL = """() => Promise.all(document.getAnimations()
  .filter((one) => Number.isFinite(one.effect.getComputedTiming().endTime))
  .map((one) => one.finished.catch(() => null))).then(() => true)"""
TABS = ("results", "inputs", "log", "timeline", "files", "use")
MODEL_TABS = (
    "health",
    "versions",
    "use",
    "predictions",
    "contract",
    "timeline",
    "settings",
)
STATES = ("running", "not_valid", "failed", "in_review", "queued", "cancelled")
FOUND = ("chain", "bands", "relaxation", "doubtful", "grid", "cube")

Things = dict[str, Any]
Value = Callable[[Things], Any]


def _calculation(name: str) -> Value:
    return lambda things: things["calculations"][name]


#: Routes and parameter, and which seeded objects stand for it, each a page of its own.
VALUES: tuple[tuple[str, str, tuple[Value, ...]], ...] = (
    ("calculation-edit", "pk", (_calculation("draft"),)),
    ("calculation-*", "pk", (_calculation("valid"),)),
    ("calculation-detail", "tab", tuple(lambda _, tab=tab: tab for tab in TABS)),
    ("calculation-*-file", "file_id", (lambda things: things["file"],)),
    ("calculation-figure", "*", (lambda _: 0,)),
    ("cluster-aws-*", "name", (lambda things: things["aws"],)),
    ("cluster-ssh-*", "name", (lambda things: things["ssh"],)),
    ("cluster-*", "name", (lambda things: things["cluster"],)),
    ("cluster-metrics", "chart", (lambda _: "cpu",)),
    ("cluster-key-*", "prefix", (lambda _: "none",)),
    ("cluster-orphan-*", "orphan_id", (lambda _: 1,)),
    ("log-*", "line", (lambda things: things["line"],)),
    ("run-log*", "run", (lambda things: things["run"],)),
    ("run-metrics", "run", (lambda things: things["run"],)),
    ("run-metrics", "chart", (lambda _: "cpu",)),
    ("licence-*", "licence_id", (lambda _: 1,)),
    ("project-*", "slug", (lambda things: things["project"],)),
    ("*", "user_id", (lambda things: things["people"]["mia"],)),
    ("notification-*", "notification_id", (lambda _: 1,)),
    ("announcement-*", "announcement_id", (lambda things: things["announcement"],)),
    ("profile-*", "session_id", (lambda _: 1,)),
    ("profile-*", "grant_id", (lambda _: 1,)),
    ("calculation-filter-*", "filter_id", (lambda _: 1,)),
    ("molecule-from-run", "run", (lambda things: things["run"],)),
    ("molecule-*", "pk", (lambda things: things["structure"],)),
    ("pseudopotential-*", "pk", (lambda things: things["pseudopotential"],)),
    ("calculation-undo", "token", (lambda _: "none",)),
    ("template-*", "pk", (lambda things: things["template"],)),
    ("model-detail", "tab", tuple(lambda _, tab=tab: tab for tab in MODEL_TABS)),
    ("model-version*", "number", (lambda things: things["version"],)),
    ("model-replica-*", "replica", (lambda things: things["replica"],)),
    ("model-chart", "chart", (lambda _: "rate",)),
    ("model-prediction", "prediction_id", (lambda things: things["prediction"],)),
    ("model-call*", "call_id", (lambda things: things["call"],)),
    ("model-*", "name", (lambda things: things["model"],)),
    ("export-*", "export_id", (lambda _: "00000000-0000-4000-8000-000000000001",)),
)
#: Pages that look different for other objects than the first.
MORE: tuple[tuple[str, str, Value], ...] = (
    *(
        (f"calculation-{state}", "calculation-detail", lambda t, s=state: [t["calculations"][s]])
        for state in STATES
    ),
    *(
        (f"calculation-{name}", "calculation-detail", lambda t, n=name: [t["calculations"][n]])
        for name in FOUND
    ),
    *(
        (
            f"results-{name}",
            "calculation-detail",
            lambda t, n=name: [t["calculations"][n], "results"],
        )
        for name in FOUND
    ),
    ("scaling", "calculation-detail", lambda things: [things["calculations"]["scaled"], "scaling"]),
    ("molecule-relaxed", "molecule-detail", lambda things: [things["relaxed"]]),
    *(
        (f"model-{name}", "model-detail", lambda _, n=name: [n, "health"])
        for name in ("gait", "segmentation", "echo")
    ),
    ("cluster-serving", "cluster-detail", lambda _: ["tesla-1"]),
    ("cluster-silent", "cluster-detail", lambda things: [things["silent"]]),
    ("cluster-by-ssh", "cluster-detail", lambda things: [things["ssh"]]),
    ("cluster-access", "cluster-agent", lambda things: [things["ssh"]]),
    ("cluster-in-aws", "cluster-agent", lambda things: [things["aws"]]),
)


@dataclass
class Visit:
    """What was seen when a page was opened."""

    name: str
    status: int
    complaints: list[str] = field(default_factory=list)


def page_routes() -> list[Route]:
    return [route for route in routes() if not route.pattern.startswith(NOT_FOR_EYES)]


def addresses(route: Route, things: Things) -> list[str]:
    """Every address of a route that the walk visits."""
    found: list[dict[str, Any]] = [{}]
    for parameter in route.parameters:
        makers = [
            makers
            for names, name, makers in VALUES
            if fnmatchcase(parameter, name) and fnmatchcase(route.name, names)
        ]
        assert makers, f"VALUES of tests/e2e/pages.py names no object for {parameter!r} of {route}"
        found = [{**before, parameter: make(things)} for before in found for make in makers[0]]
    return [reverse(route.name, kwargs=values) for values in found]


def is_open_to(route: Route, person: str) -> bool:
    return (person or "nobody") in rule_for(RULES[route.name], "GET")


def is_page(context: BrowserContext, address: str) -> bool:
    """Whether the address answers a whole document; verbs, downloads and fragments do not."""
    with_answer = context.request.get(address, max_redirects=0)
    kind = with_answer.headers.get("content-type", "")
    return (
        with_answer.status == 200
        and kind.startswith("text/html")
        and not with_answer.headers.get("content-disposition", "").startswith("attachment")
        and "<html" in with_answer.text()[:600]
    )


class Walker:
    """A browser of one person at one width, which goes from page to page."""

    def __init__(self, context: BrowserContext, folder: Path, label: str, *, phone: bool) -> None:
        context.add_init_script(path=AXE)
        self.context, self.folder, self.label, self.phone = context, folder, label, phone
        self.page: Page = context.new_page()
        self._errors: list[str] = []
        self.page.on("pageerror", lambda error: self._errors.append(f"page error: {error}"))
        self.page.on(
            "console",
            lambda said: (
                self._errors.append(f"console: {said.text}") if said.type == "error" else None
            ),
        )

    def visit(
        self,
        address: str,
        name: str,
        *,
        schemes: tuple[str, ...] = ("light", "dark"),
        closely: bool = True,
        refused: bool = False,
    ) -> Visit:
        """Go there and look; `closely` means with axe and a picture."""
        self._errors.clear()
        self.page.emulate_media(color_scheme=schemes[0])
        answer = self.page.goto(address)
        seen = Visit(name, answer.status if answer else 0)
        self._settle()
        self._measure(seen)
        for place, scheme in enumerate(schemes if closely else ()):
            if place:
                self.page.emulate_media(color_scheme=scheme)
            self.page.evaluate(STILL)
            if place == 0:
                self._ask_axe(seen, scheme)
            elif not self.phone:  # whose colours are the same
                self._ask_axe(seen, scheme, only_colours=True)
            path = self.folder / f"{name}-{self.label}-{scheme}.jpg"
            self.page.screenshot(path=path, full_page=True, type="jpeg", quality=80)
        if not refused:
            seen.complaints += self._errors
        return seen

    def _settle(self) -> None:
        """Wait until figures are drawn and fonts are there; a live page never idles."""
        self.page.wait_for_load_state("load")
        self.page.evaluate("document.fonts.ready.then(() => true)")
        drawn = "[data-plot]:not([hidden]) .main-svg, [data-plot][hidden], [data-chart] > *"
        if self.page.locator("[data-plot], [data-chart]").count():
            self.page.locator(drawn).first.wait_for(state="attached")

    def _measure(self, seen: Visit) -> None:
        wide = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if wide[0] > wide[1]:
            seen.complaints.append(f"{self.label}: {wide[0]} px wide, the window {wide[1]}")
        heads = self.page.locator("h1").count()
        if heads != 1:
            seen.complaints.append(f"{self.label}: {heads} h1")

    def _ask_axe(self, seen: Visit, scheme: str, *, only_colours: bool = False) -> None:
        options: dict[str, Any] = {"resultTypes": ["violations"]}
        if only_colours:
            options["runOnly"] = ["color-contrast"]
        found = self.page.evaluate(
            "([exclude, options]) => axe.run({exclude}, options)", [LEFT_OUT, options]
        )
        for violation in found["violations"]:
            if violation["impact"] in GRAVE:
                places = ", ".join(" ".join(node["target"]) for node in violation["nodes"][:4])
                seen.complaints.append(f"{self.label} {scheme}: {violation['help']}: {places}")
