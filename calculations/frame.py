"""What calculations put into the page frame: navigation and the project switch. Called at start."""

from __future__ import annotations

from django.http import HttpRequest
from django.template.loader import render_to_string

from calculations import overviews
from labportal.accounts.models import Project
from labportal.accounts.roles import Can, can
from labportal.common.navigation import NavEntry, Section, register_nav
from labportal.common.panels import register_panel

MOST_PROJECTS = 30


def register() -> None:
    register_nav(
        NavEntry("Dashboard", "dashboard", key="d", order=0),
        NavEntry("Calculations", "calculation-list", "c", count=overviews.count_active, order=10),
        NavEntry("Analyses", "analyses", key="a", order=20),
        NavEntry("Exports", "export-list", section=Section.PERSON, order=30),
        NavEntry("Pseudopotentials", "pseudopotential-list", section=Section.PERSON, order=31),
        NavEntry("Molecules", "molecule-list", key="m", order=30),
        NavEntry(
            "Reviews",
            "review-list",
            "r",
            needs=lambda user: can(user, Can.REVIEW),
            count=overviews.count_to_review,
            section=Section.MODERATION,
            order=0,
        ),
        NavEntry(
            "Settings",
            "lab-settings",
            "s",
            needs=lambda user: can(user, Can.MANAGE_SETTINGS),
            section=Section.ADMINISTRATION,
            order=90,
        ),
    )
    register_panel("top", "projects", project_switch)


def project_switch(request: HttpRequest, **_: object) -> str:
    """The projects that one may see, as links to their calculations."""
    projects = list(Project.objects.visible_to(request.user)[:MOST_PROJECTS])
    if len(projects) < 2:
        return ""
    chosen = request.GET.get("project", "")
    now = next((project for project in projects if project.slug == chosen), None)
    context = {"projects": projects, "now": now}
    return render_to_string("calculations/_project_switch.html", context, request)
