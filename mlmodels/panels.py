"""What models show on other pages: chips of the dashboard, the replicas on a cluster's page."""

from __future__ import annotations

from django.http import HttpRequest
from django.template.loader import render_to_string

from clusters.models import Cluster
from labportal.accounts.roles import Can, can
from mlmodels.selectors import needs as selectors
from mlmodels.selectors.health import health_of


def needs(request: HttpRequest) -> str:
    """Chips: what was given up of what is theirs, and what waits for a moderator's word."""
    given_up = selectors.given_up(request.user)
    waiting = selectors.waiting(request.user)
    if not given_up and not waiting:
        return ""
    context = {"given_up": given_up, "waiting": waiting}
    return render_to_string("mlmodels/_needs.html", context, request)


def replicas_there(request: HttpRequest, *, cluster: Cluster, **_: object) -> str:
    if not can(request.user, Can.SIGN_IN):
        return ""
    found = [health_of(replica) for replica in selectors.replicas_on(cluster)]
    serving = cluster.capacity.get("serving") or {}
    if not found and not serving:
        return ""
    context = {"replicas": found, "runtimes": ", ".join(serving.get("runtimes") or {})}
    return render_to_string("mlmodels/_cluster_card.html", context, request)
