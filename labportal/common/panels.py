"""Pieces of one app on the page of another, without either importing the other.

An app registers a panel in AppConfig.ready(); a page asks for the panels of a place by
`{% panels "dashboard.side" %}`. A panel renders itself for a request, or returns "" where it has
nothing to say. One that raises is logged and left out: it must never take the page with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe

log = logging.getLogger(__name__)

Render = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Panel:
    """`render(request, **subject)` returns rendered HTML; `subject` is what the page is about.

    Places: "top" (top line), "banner" (between it and each page; it must cost no query where it has
    nothing to say), "dashboard.needs" (chips of what needs the person), "dashboard.main",
    "dashboard.side", "settings" (cards below the form of settings), "project.main" and
    "project.side" (subject `project`), "profile.side", "cluster.main" (subject `cluster`),
    "structure.side" (subject `structure`). On the pages of one calculation, with it as subject
    `calculation`: "calculation.where" (beside it), "calculation.files" (tab Files), and with a
    `run` too (None before there are runs): "calculation.overview", "calculation.log" (tab Log),
    "calculation.use" (tab Use).
    """

    place: str
    name: str
    render: Render
    order: int = 50


_panels: dict[tuple[str, str], Panel] = {}


def register_panel(place: str, name: str, render: Render, *, order: int = 50) -> None:
    """Add a panel; registering the same place and name again replaces it."""
    _panels[place, name] = Panel(place, name, render, order)


def render_panels(place: str, request: HttpRequest, **subject: object) -> SafeString:
    """Return the HTML of every panel of a place, in order."""
    parts = []
    for panel in sorted(_panels.values(), key=lambda p: (p.order, p.name)):
        if panel.place != place:
            continue
        try:
            parts.append(str(panel.render(request, **subject)))
        except Exception:
            log.exception("panel %s of %s could not be drawn", panel.name, panel.place)
    return mark_safe("\n".join(parts))  # noqa: S308  (each panel is a rendered template)
