"""The tab “Access” of a cluster in AWS: its form, the test, what runs there."""

from __future__ import annotations

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from clusters.aws_form import AwsForm
from clusters.models import Cluster
from clusters.selectors.aws import aws_way_of
from clusters.services import aws
from clusters.views import access
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can

_cluster = partial(access.reached_by, Cluster.Carrier.AWS)


def aws_page(request: HttpRequest, name: str) -> HttpResponse:
    template = "clusters/cluster_aws.html"
    return access.access_page(request, name, way_of=aws_way_of, template=template)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs(Can.MANAGE_CLUSTERS)
def aws_edit(request: HttpRequest, name: str) -> HttpResponse:
    cluster = _cluster(request, name)
    return access.edit_access(
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
    return access.begin(request, _cluster(request, name), aws.test)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def aws_resume(request: HttpRequest, name: str) -> HttpResponse:
    return access.resume(request, _cluster(request, name), aws)
