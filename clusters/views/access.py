"""What the pages of a way to a cluster share, whichever way it is: the tab “Access”, its form, its
buttons.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from clusters.models import Cluster
from clusters.views.clusters import card_of
from labportal.accounts.roles import Can, can
from labportal.accounts.views import submit
from labportal.common.errors import NotFound, WrongMoment


def reached_by(carrier: Cluster.Carrier, request: HttpRequest, name: str) -> Cluster:
    """Only clusters of this carrier have such a tab. Raises NotFound."""
    cluster = card_of(request, name).cluster
    if cluster.carrier != carrier:
        raise NotFound
    return cluster


def access_page(
    request: HttpRequest,
    name: str,
    *,
    way_of: Callable[[Cluster], Any],
    template: str,
    status: int = 200,
    **given: object,
) -> HttpResponse:
    """What the tab shows instead of an agent to install."""
    card = card_of(request, name)
    context = {
        "card": card,
        "cluster": card.cluster,
        "tab": "agent",
        "may_manage": can(request.user, Can.MANAGE_CLUSTERS),
        "way": way_of(card.cluster),
        **given,
    }
    return render(request, template, context, status=status)


def edit_access(
    request: HttpRequest,
    cluster: Cluster,
    form_class: type[Form],
    *,
    access: Any,
    service: ModuleType,
    template: str,
) -> HttpResponse:
    """Show and take the form. `service` has FIELDS and `set_up`; `access` is None before."""
    initial = {field: getattr(access, field) for field in service.FIELDS} if access else {}
    form = form_class(request.POST or None, initial=initial)
    if request.method == "POST" and submit(
        form, lambda data: service.set_up(cluster, **data, actor=request.user)
    ):
        messages.success(request, "Saved.")
        return redirect("cluster-agent", cluster.name)
    context = {"form": form, "cluster": cluster, "access": access}
    status = 400 if request.method == "POST" else 200
    return render(request, template, context, status=status)


def begin(request: HttpRequest, cluster: Cluster, deed: Callable[..., object]) -> HttpResponse:
    """Have something done over there; that it is too early for it is said on the page."""
    try:
        deed(cluster, actor=request.user)
    except WrongMoment as problem:
        messages.error(request, problem.message)
    return redirect("cluster-agent", cluster.name)


def resume(request: HttpRequest, cluster: Cluster, service: ModuleType) -> HttpResponse:
    """Have the portal go there again although it failed."""
    service.resume(cluster, actor=request.user)
    messages.success(request, "The portal tries again.")
    return redirect("cluster-agent", cluster.name)
