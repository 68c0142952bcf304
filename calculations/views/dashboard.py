"""The dashboard: what needs me, runs, waits, came out. Other apps bring their own panels."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from calculations import overviews, selectors
from calculations.views.rows import rows_of
from calculations.views.topics import project_topics
from labportal.accounts.decorators import needs

MOST_RUNNING = 8
MOST_WAITING = 5
MOST_RESULTS = 8


@needs()
def dashboard(request: HttpRequest) -> HttpResponse:
    user = request.user
    running = list(selectors.running(user)[: MOST_RUNNING + 1])
    queued = list(selectors.queued(user)[:MOST_WAITING])
    ended = list(selectors.last_ended(user)[:MOST_RESULTS])
    context = {
        "needs": overviews.needs_of(user),
        "running": rows_of(running[:MOST_RUNNING], overviews.moving_runs(running)),
        "more_running": len(running) > MOST_RUNNING,
        "waiting": overviews.waiting(user),
        "queued": rows_of(queued, {}),
        "results": rows_of(ended, {}),
        "use": overviews.use_this_month(user),
        "topics": project_topics(user),
    }
    return render(request, "calculations/dashboard.html", context)
