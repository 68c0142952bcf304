"""The tab “Access” of a cluster that the portal signs in to: its form and key, the host's keys, the
test.
"""

from __future__ import annotations

from functools import partial

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from clusters.forms import SshForm, SshKeyForm
from clusters.models import Cluster
from clusters.selectors.ssh import way_of
from clusters.services import ssh
from clusters.views import access
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can
from labportal.accounts.views import submit

_cluster = partial(access.reached_by, Cluster.Carrier.SSH)


def ssh_page(
    request: HttpRequest, name: str, *, status: int = 200, **given: object
) -> HttpResponse:
    shown = {"template": "clusters/cluster_ssh.html", "key_form": SshKeyForm(), **given}
    return access.access_page(request, name, way_of=way_of, status=status, **shown)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs(Can.MANAGE_CLUSTERS)
def ssh_edit(request: HttpRequest, name: str) -> HttpResponse:
    cluster = _cluster(request, name)
    return access.edit_access(
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
    return access.begin(request, _cluster(request, name), ssh.ask_for_host_keys)


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
    return access.begin(request, _cluster(request, name), ssh.test)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def ssh_resume(request: HttpRequest, name: str) -> HttpResponse:
    return access.resume(request, _cluster(request, name), ssh)
