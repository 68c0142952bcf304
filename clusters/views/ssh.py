"""The tab “Access” of a cluster that the portal signs in to: its form and key, the host's keys, the
test.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from clusters.forms import SshForm, SshKeyForm
from clusters.models import Cluster
from clusters.selectors.ssh import way_of
from clusters.services import ssh
from clusters.views.access import edit_access
from clusters.views.clusters import card_of
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can, can
from labportal.accounts.views import submit
from labportal.common.errors import NotFound, WrongMoment


def ssh_page(
    request: HttpRequest, name: str, *, status: int = 200, **given: object
) -> HttpResponse:
    """What the tab shows instead of an agent to install."""
    card = card_of(request, name)
    context = {
        "card": card,
        "cluster": card.cluster,
        "tab": "agent",
        "may_manage": can(request.user, Can.MANAGE_CLUSTERS),
        "way": way_of(card.cluster),
        "key_form": SshKeyForm(),
        **given,
    }
    return render(request, "clusters/cluster_ssh.html", context, status=status)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs(Can.MANAGE_CLUSTERS)
def ssh_edit(request: HttpRequest, name: str) -> HttpResponse:
    cluster = _cluster(request, name)
    return edit_access(
        request,
        cluster,
        SshForm,
        access=way_of(cluster).access,
        service=ssh,
        template="clusters/ssh_form.html",
    )


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def ssh_key_make(request: HttpRequest, name: str) -> HttpResponse:
    ssh.make_key(_cluster(request, name), actor=request.user)
    messages.success(request, "There is a new key. Give its line to the site.")
    return redirect("cluster-agent", name)


@never_cache
@require_POST
@needs(Can.MANAGE_CLUSTERS)
def ssh_key_enter(request: HttpRequest, name: str) -> HttpResponse:
    cluster, form = _cluster(request, name), SshKeyForm(request.POST)
    if submit(form, lambda data: ssh.enter_key(cluster, **data, actor=request.user)):
        messages.success(request, "The key is stored.")
        return redirect("cluster-agent", name)
    return ssh_page(request, name, key_form=form, status=400)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def ssh_scan(request: HttpRequest, name: str) -> HttpResponse:
    return _begin(request, name, ssh.ask_for_host_keys)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def ssh_confirm(request: HttpRequest, name: str) -> HttpResponse:
    shown = request.POST.getlist("fingerprint")
    ssh.confirm_host_keys(_cluster(request, name), fingerprints=shown, actor=request.user)
    messages.success(request, "These keys are trusted from now on, and no others.")
    return redirect("cluster-agent", name)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def ssh_test(request: HttpRequest, name: str) -> HttpResponse:
    return _begin(request, name, ssh.test)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def ssh_resume(request: HttpRequest, name: str) -> HttpResponse:
    ssh.resume(_cluster(request, name), actor=request.user)
    messages.success(request, "The portal tries again.")
    return redirect("cluster-agent", name)


def _begin(request: HttpRequest, name: str, deed: Callable[..., object]) -> HttpResponse:
    """Have something done over there; that it is too early for it is said on the page."""
    try:
        deed(_cluster(request, name), actor=request.user)
    except WrongMoment as problem:
        messages.error(request, problem.message)
    return redirect("cluster-agent", name)


def _cluster(request: HttpRequest, name: str) -> Cluster:
    """Only clusters that the portal signs in to have this tab."""
    cluster = card_of(request, name).cluster
    if cluster.carrier != Cluster.Carrier.SSH:
        raise NotFound
    return cluster
