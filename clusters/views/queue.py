"""The pages of the queue's rules: fair share, and the licences whose seats are counted."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clusters.forms import LicenceForm, SeatsForm, SharesForm
from clusters.models import Licence
from clusters.selectors.fair_share import fair_share as fair_share_of
from clusters.selectors.licences import licences
from clusters.services import queue as services
from labportal.accounts.decorators import needs
from labportal.accounts.models import Project
from labportal.accounts.roles import Can, can, require
from labportal.accounts.views import submit


@require_safe
@needs()
def fair_share(request: HttpRequest) -> HttpResponse:
    """One's own standing; for moderators and admins everybody's."""
    context = {
        "found": fair_share_of(request.user),
        "all": can(request.user, Can.VIEW_USAGE),
        "may_set": can(request.user, Can.MANAGE_SETTINGS),
    }
    return render(request, "clusters/fair_share.html", context)


@require_POST
@needs(Can.MANAGE_SETTINGS)
def project_shares(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project.objects.visible_to(request.user), slug=slug)
    form = SharesForm(request.POST)
    if submit(form, lambda data: services.set_shares(project, **data, actor=request.user)):
        messages.success(request, f"{project.name} has {project.shares} of the shares.")
    else:
        messages.error(request, "Shares are a whole number from 1 to 1000.")
    return redirect("fair-share")


@require_http_methods(["GET", "HEAD", "POST"])
@needs()
def licence_list(request: HttpRequest) -> HttpResponse:
    """What is counted; admins add to it."""
    may_manage = can(request.user, Can.MANAGE_CLUSTERS)
    if request.method == "POST":
        require(request.user, Can.MANAGE_CLUSTERS)
    form = LicenceForm(request.POST or None)
    if request.method == "POST" and submit(
        form, lambda data: services.add_licence(**data, actor=request.user)
    ):
        messages.success(request, "The licence is counted from now on.")
        return redirect("licence-list")
    context = {"licences": licences(), "form": form, "may_manage": may_manage}
    status = 400 if form.errors else 200
    return render(request, "clusters/licences.html", context, status=status)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def licence_change(request: HttpRequest, licence_id: int) -> HttpResponse:
    licence = get_object_or_404(Licence, pk=licence_id)
    form = SeatsForm(request.POST)
    if submit(form, lambda data: services.change_licence(licence, **data, actor=request.user)):
        messages.success(request, f"{licence.name} has {licence.seats} seats.")
    else:
        messages.error(request, "Seats are a whole number of 1 or more.")
    return redirect("licence-list")


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def licence_delete(request: HttpRequest, licence_id: int) -> HttpResponse:
    licence = get_object_or_404(Licence, pk=licence_id)
    services.remove_licence(licence, actor=request.user)
    messages.success(request, f"{licence.name} is no longer counted.")
    return redirect("licence-list")
