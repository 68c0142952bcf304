"""The list of pages that the walk visits, out of the URL configuration, and how one is judged.

A route with a parameter that VALUES does not know fails the walk: a new page cannot slip past it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, ViewportSize

from bench.stack import ROOT
from tests.matrix import Route, routes, rule_for
from tests.matrix_rules import RULES

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
#: What programs ask for, not people.
NOT_FOR_EYES = ("api/v1/", "agent/", "healthz", "readyz", "metrics")
GRAVE = ("serious", "critical")
Scheme = Literal["light", "dark"]
WIDTHS: dict[str, ViewportSize] = {
    "desk": {"width": 1440, "height": 900},
    "phone": {"width": 390, "height": 844},
}
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
#: Once figures are drawn, fonts there and a new width taken; a live page never idles.
LOOK = """async () => {
  const until = async (holds) => {
    for (let tries = 0; !holds() && tries < 300; tries += 1) {
      await new Promise((done) => setTimeout(done, 100));
    }
    return holds();
  };
  const figures = "[data-plot], [data-chart]";
  const drawn = "[data-plot]:not([hidden]) .main-svg, [data-plot][hidden], [data-chart] > *";
  const found = (selector) => document.querySelector(selector) !== null;
  await document.fonts.ready;
  const isDrawn = await until(() => !found(figures) || found(drawn));
  await until(() => !found("[data-structure]:not(.is-drawn, .is-still)"));
  const wide = () => document.documentElement.scrollWidth;
  if (wide() > innerWidth) await new Promise((done) => setTimeout(done, 1000));
  const heads = document.querySelectorAll("h1").length;
  return { drawn: isDrawn, wide: wide(), window: innerWidth, heads };
}"""
#: Rules whose faults are never grave are not asked.
ASK_AXE = """async ([exclude, grave, only]) => {
  const others = axe._audit.rules.filter((rule) => !grave.includes(rule.impact));
  const options = only
    ? { runOnly: only }
    : { rules: Object.fromEntries(others.map((rule) => [rule.id, { enabled: false }])) };
  const found = await axe.run({ exclude }, { ...options, resultTypes: ["violations"] });
  return found.violations.filter((one) => grave.includes(one.impact)).map((one) => ({
    help: one.help, targets: one.nodes.slice(0, 4).map((node) => node.target.flat()),
  }));
}"""
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
    """A browser of one person, which goes from page to page and looks at each at two widths: it
    is loaded at the first of them and takes the second as a window that is made wider or narrower.
    """

    def __init__(
        self,
        context: BrowserContext,
        person: str,
        folder: Path | None = None,
        *,
        widths: Sequence[str] = tuple(WIDTHS),
    ) -> None:
        self.context, self.person, self.folder, self.widths = context, person, folder, widths
        self.page: Page = context.new_page()
        self._errors: list[str] = []
        self._scheme = self._width = ""
        self._axe = AXE.read_text()
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
        closely: Collection[str] = tuple(WIDTHS),
        refused: bool = False,
    ) -> Visit:
        """Go there and look; `closely` names the widths at which axe looks, too."""
        self._errors.clear()
        self._widen(self.widths[0])
        self._dress("light")
        answer = self.page.goto(address)
        seen = Visit(name, answer.status if answer else 0)
        if closely:
            self.page.evaluate(self._axe)
        for width in self.widths:
            self._widen(width)
            self._dress("light")
            self._measure(seen, width)
            if width not in closely:
                continue
            self._ask_axe(seen, width)
            self._draw(seen, width)
            if width == "desk" or self.folder:  # the colours of a phone are the same
                self._dress("dark")
                if width == "desk":
                    self._ask_axe(seen, width, only_colours=True)
                self._draw(seen, width)
        if not refused:
            seen.complaints += self._errors
        return seen

    def _widen(self, width: str) -> None:
        if width != self._width:
            self.page.set_viewport_size(WIDTHS[width])
            self._width = width

    def _dress(self, scheme: Scheme) -> None:
        if scheme != self._scheme:
            self.page.emulate_media(color_scheme=scheme)
            self.page.evaluate(STILL)
            self._scheme = scheme

    def _measure(self, seen: Visit, width: str) -> None:
        found = self.page.evaluate(LOOK)
        where = f"{self.person} at the {width}"
        if not found["drawn"]:
            seen.complaints.append(f"{where}: no figure was drawn")
        if found["wide"] > found["window"]:
            seen.complaints.append(f"{where}: {found['wide']} px wide, not {found['window']}")
        if found["heads"] != 1:
            seen.complaints.append(f"{where}: {found['heads']} h1")

    def _ask_axe(self, seen: Visit, width: str, *, only_colours: bool = False) -> None:
        rules = ["color-contrast"] if only_colours else None
        for violation in self.page.evaluate(ASK_AXE, [LEFT_OUT, GRAVE, rules]):
            places = ", ".join(" ".join(target) for target in violation["targets"])
            where = f"{self.person} at the {width}, {self._scheme}"
            seen.complaints.append(f"{where}: {violation['help']}: {places}")

    def _draw(self, seen: Visit, width: str) -> None:
        if self.folder:
            path = self.folder / f"{seen.name}-{self.person}-{width}-{self._scheme}.jpg"
            self.page.screenshot(path=path, full_page=True, type="jpeg", quality=80)
