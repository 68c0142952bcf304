"""What clusters show on other pages: cards and what is silent on the dashboard, a run's log,
raw files and what they take."""

from __future__ import annotations

from django.http import HttpRequest
from django.template.loader import render_to_string

from calculations.models import Calculation, Run
from clusters.selectors import clusters as selectors
from clusters.selectors import logs, metrics, storage
from clusters.selectors.fair_share import fair_share
from labportal.accounts.models import Project

MOST_CARDS = 6
TROUBLE_FIRST = ("silent", "held", "draining", "drained", "online", "disabled")


def cards(request: HttpRequest) -> str:
    """The compact cards, those in trouble first."""
    found = selectors.cards(selectors.clusters(request.user))
    found.sort(key=lambda card: (TROUBLE_FIRST.index(card.state), card.cluster.name))
    context = {"cards": found[:MOST_CARDS], "more": max(0, len(found) - MOST_CARDS)}
    return render_to_string("clusters/_side_cards.html", context, request)


def needs(request: HttpRequest) -> str:
    silent, held = selectors.silent(request.user), selectors.held(request.user)
    found = list(dict.fromkeys([*silent, *held]))
    if not found:
        return ""
    waiting = selectors.waiting_for(found)
    rows = [
        {"cluster": cluster, "waiting": waiting[cluster.pk], "silent": cluster in silent}
        for cluster in found
    ]
    return render_to_string("clusters/_needs.html", {"rows": rows}, request)


def run_log(request: HttpRequest, *, run: Run | None = None, **_: object) -> str:
    """The live log of a run that the page has already let the person see."""
    return _log(request, run)


def short_run_log(request: HttpRequest, *, run: Run | None = None, **_: object) -> str:
    return _log(request, run, short=True)


def _log(request: HttpRequest, run: Run | None, **more: object) -> str:
    if run is None:
        return ""
    context = {"run": run, **logs.shown(request.user, run), **more}
    return render_to_string("clusters/_run_log.html", context, request)


def meanwhile(request: HttpRequest, *, run: Run | None = None, **_: object) -> str:
    """What the cluster of a run did while it ran."""
    if run is None or run.cluster is None or run.started_at is None:
        return ""
    context = {"run": run, "cluster": run.cluster, "charts": metrics.meanwhile_of(run.cluster)}
    return render_to_string("clusters/_meanwhile.html", context, request)


def raw_files(request: HttpRequest, *, calculation: Calculation, **_: object) -> str:
    """What a calculation left on its clusters, and what was deleted of it."""
    context = {
        "raw": storage.raw_files(calculation, request.user),
        "calculation": calculation,
        "here": request.get_full_path(),
    }
    return render_to_string("clusters/_raw_files.html", context, request)


def project_storage(request: HttpRequest, *, project: Project, **_: object) -> str:
    context = {"use": storage.of_project(project), "title": "Storage"}
    return render_to_string("clusters/_storage_card.html", context, request)


def own_storage(request: HttpRequest, **_: object) -> str:
    context = {"use": storage.of_person(request.user), "title": "Your storage"}
    return render_to_string("clusters/_storage_card.html", context, request)


def own_fair_share(request: HttpRequest, **_: object) -> str:
    context = {"found": fair_share(request.user, own=True)}
    return render_to_string("clusters/_fair_share_card.html", context, request)
