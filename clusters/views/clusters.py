"""The pages of clusters: the list, one cluster, its cards elsewhere, and what admins do to it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clusters import updates
from clusters.agent.protocol import LogService
from clusters.forms import EditForm, RegisterForm
from clusters.models import Cluster
from clusters.selectors import clusters as selectors
from clusters.selectors import logs, metrics, storage
from clusters.selectors.health import checks
from clusters.selectors.machine import machine_of
from clusters.selectors.states import ORDER
from clusters.services import clusters as services
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can, can
from labportal.accounts.views import submit

LOG_LINES = 200


@require_safe
@needs()
def cluster_list(request: HttpRequest) -> HttpResponse:
    context = {
        "cards": sorted(selectors.cards(selectors.clusters(request.user)), key=_list_order),
        "may_manage": can(request.user, Can.MANAGE_CLUSTERS),
    }
    return render(request, "clusters/cluster_list.html", context)


@require_safe
@needs()
def cluster_card(request: HttpRequest, name: str) -> HttpResponse:
    """One card alone, by which pages keep it fresh; `compact` as on the dashboard."""
    context = {
        "card": card_of(request, name),
        "compact": "compact" in request.GET,
    }
    return render(request, "clusters/_card.html", context)


@require_safe
@needs()
def cluster_detail(request: HttpRequest, name: str) -> HttpResponse:
    card = card_of(request, name)
    cluster = card.cluster
    may_manage = can(request.user, Can.MANAGE_CLUSTERS)
    said = {"cluster": cluster.name, "service": LogService.AGENT.value}
    lines = logs.narrow(logs.visible_lines(request.user), logs.LogFilters(**said))
    context = {
        "card": card,
        "cluster": cluster,
        "tab": "overview",
        "may_manage": may_manage,
        "spans": metrics.SPANS.values(),
        "span": request.GET.get("range") if request.GET.get("range") in metrics.SPANS else "hour",
        "charts": metrics.charts_of(cluster),
        "running": selectors.running(cluster, request.user),
        "queue": selectors.queue(cluster, request.user),
        **_health(cluster),
        "lines": logs.newest(lines, LOG_LINES).lines,
        "topics": logs.topics(request.user),
        "match": json.dumps(said),
        "lines_url": f"{reverse('log-lines')}?{urlencode(said)}",
        "orphans": selectors.orphans(cluster) if can(request.user, Can.ADOPT_ORPHANS) else (),
        "use": storage.of_cluster(cluster),
        "deletable": may_manage and not services.was_used(cluster),
    }
    return render(request, "clusters/cluster_detail.html", context)


@require_safe
@needs()
def cluster_health(request: HttpRequest, name: str) -> HttpResponse:
    card = card_of(request, name)
    may_manage = can(request.user, Can.MANAGE_CLUSTERS)
    context = {
        "card": card,
        "cluster": card.cluster,
        "tab": "health",
        "may_manage": may_manage,
        "machine": machine_of(card.cluster),
        "deletable": may_manage and not services.was_used(card.cluster),
        **_health(card.cluster),
    }
    return render(request, "clusters/cluster_health.html", context)


def _health(cluster: Cluster) -> dict[str, Any]:
    """What is wrong apart from what is not, and what the dialogs of remedies need to know."""
    found = checks(cluster, list(cluster.api_keys.all()))
    return {
        "troubled": [check for check in found if check.is_trouble],
        "well": [check for check in found if not check.is_trouble],
        "can_update": any(check.ask == "update-agent" for check in found),
        "goes_back": updates.goes_back(cluster),
        "may_go_back": {"may_go_back": "1"},
    }


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Can.MANAGE_CLUSTERS)
def cluster_register(request: HttpRequest) -> HttpResponse:
    form = RegisterForm(request.POST or None)
    made: list[Cluster] = []
    if request.method == "POST" and submit(
        form, lambda data: made.append(services.register(**data, actor=request.user))
    ):
        return _registered(request, made[0])
    status = 400 if request.method == "POST" else 200
    return render(request, "clusters/cluster_form.html", {"form": form}, status=status)


def _registered(request: HttpRequest, cluster: Cluster) -> HttpResponse:
    """Go where the next step is."""
    if cluster.carrier == Cluster.Carrier.SSH:
        messages.success(request, f"{cluster.name} is registered. Now say where to sign in.")
        return redirect("cluster-ssh-edit", cluster.name)
    if cluster.carrier == Cluster.Carrier.AWS:
        words = f"{cluster.name} is registered. Now say where its state machine is."
        messages.success(request, words)
        return redirect("cluster-aws-edit", cluster.name)
    messages.success(request, f"{cluster.name} is registered. Now its agent needs a key.")
    return redirect("cluster-agent", cluster.name)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Can.MANAGE_CLUSTERS)
def cluster_edit(request: HttpRequest, name: str) -> HttpResponse:
    cluster = card_of(request, name).cluster
    initial = {name: getattr(cluster, name) for name in services.EDITABLE}
    form = EditForm(request.POST or None, initial=initial)
    if request.method == "POST" and submit(
        form, lambda data: services.edit(cluster, **data, actor=request.user)
    ):
        messages.success(request, "Saved.")
        return redirect(cluster)
    context = {"form": form, "cluster": cluster}
    status = 400 if request.method == "POST" else 200
    return render(request, "clusters/cluster_form.html", context, status=status)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def cluster_delete(request: HttpRequest, name: str) -> HttpResponse:
    services.delete(card_of(request, name).cluster, actor=request.user)
    messages.success(request, f"{name} is deleted.")
    return redirect("cluster-list")


def _list_order(card: selectors.Card) -> tuple[int, str]:
    """Those that work first, those that were never heard last; within, by name."""
    never = not card.cluster.last_exchange_at
    return ORDER.index(card.state) + never, card.cluster.name


def card_of(request: HttpRequest, name: str) -> selectors.Card:
    row = get_object_or_404(selectors.clusters(request.user), name=name)
    return selectors.cards([row])[0]
