"""The tab “Access” of a cluster in AWS: its form, the test, what runs there."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from calculations.models import Run
from clusters.aws_form import AwsForm
from clusters.models import Cluster
from clusters.selectors.aws import aws_way_of
from clusters.services import aws
from clusters.views.access import edit_access
from clusters.views.clusters import card_of
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can, can
from labportal.common.errors import NotFound, WrongMoment


def aws_page(request: HttpRequest, name: str) -> HttpResponse:
    """What the tab shows instead of an agent to install."""
    card = card_of(request, name)
    way = aws_way_of(card.cluster)
    keys = [execution.run for execution in way.executions]
    runs = Run.objects.visible_to(request.user).select_related("calculation").in_bulk(keys)
    context = {
        "card": card,
        "cluster": card.cluster,
        "tab": "agent",
        "may_manage": can(request.user, Can.MANAGE_CLUSTERS),
        "way": way,
        "in_hand": [(execution, runs.get(execution.run)) for execution in way.executions],
    }
    return render(request, "clusters/cluster_aws.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs(Can.MANAGE_CLUSTERS)
def aws_edit(request: HttpRequest, name: str) -> HttpResponse:
    cluster = _cluster(request, name)
    return edit_access(
        request,
        cluster,
        AwsForm,
        access=aws_way_of(cluster).access,
        service=aws,
        template="clusters/aws_form.html",
    )


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def aws_test(request: HttpRequest, name: str) -> HttpResponse:
    try:
        aws.test(_cluster(request, name), actor=request.user)
    except WrongMoment as problem:
        messages.error(request, problem.message)
    return redirect("cluster-agent", name)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def aws_resume(request: HttpRequest, name: str) -> HttpResponse:
    aws.resume(_cluster(request, name), actor=request.user)
    messages.success(request, "The portal tries again.")
    return redirect("cluster-agent", name)


def _cluster(request: HttpRequest, name: str) -> Cluster:
    """Only clusters in AWS have this tab."""
    cluster = card_of(request, name).cluster
    if cluster.carrier != Cluster.Carrier.AWS:
        raise NotFound
    return cluster
