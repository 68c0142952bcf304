"""The verbs of a working cluster, each a form of its page: drain, disable, enable, let in,
update.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from clusters.forms import NoteForm
from clusters.models import Cluster
from clusters.services import operation
from clusters.views.clusters import card_of
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can
from labportal.accounts.views import submit


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def cluster_drain(request: HttpRequest, name: str) -> HttpResponse:
    done = f"{name} is drained: what runs there ends, nothing new goes there until you enable it."
    return _with_note(request, name, operation.drain, done)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def cluster_disable(request: HttpRequest, name: str) -> HttpResponse:
    done = f"{name} gets no more work, and nobody can choose it. What runs there runs to its end."
    return _with_note(request, name, operation.disable, done)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def cluster_enable(request: HttpRequest, name: str) -> HttpResponse:
    cluster = card_of(request, name).cluster
    operation.enable(cluster, actor=request.user)
    messages.success(request, f"{name} gets work again.")
    return redirect(cluster)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def cluster_release(request: HttpRequest, name: str) -> HttpResponse:
    cluster = card_of(request, name).cluster
    operation.release(cluster, actor=request.user)
    messages.success(request, f"{name} gets work again: one run goes first, and shows how it is.")
    return redirect(cluster)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def cluster_update_agent(request: HttpRequest, name: str) -> HttpResponse:
    cluster = card_of(request, name).cluster
    may_go_back = request.POST.get("may_go_back") == "1"
    operation.update_agent(cluster, may_go_back=may_go_back, actor=request.user)
    messages.success(request, f"The agent of {name} is asked to change to {cluster.update_wanted}.")
    return redirect(cluster)


def _with_note(
    request: HttpRequest, name: str, verb: Callable[..., None], done: str
) -> HttpResponse:
    cluster: Cluster = card_of(request, name).cluster
    form = NoteForm(request.POST)
    if submit(form, lambda data: verb(cluster, **data, actor=request.user)):
        messages.success(request, done)
    else:
        messages.error(request, "A note has at most 300 characters.")
    return redirect(cluster)
