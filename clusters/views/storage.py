"""The page of what fills the disks, and the deletion of a calculation's raw files by hand."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from calculations.models import Calculation
from clusters import retention
from clusters.selectors import storage as selectors
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can
from labportal.common.errors import WrongMoment


@require_safe
@needs(Can.VIEW_STORAGE)
def storage(request: HttpRequest) -> HttpResponse:
    found = selectors.overview()
    tables = [
        ("clusters", "By cluster", found.clusters, found.most["clusters"]),
        ("projects", "By project", found.projects, found.most["projects"]),
        ("people", "By person", found.people, found.most["people"]),
    ]
    return render(request, "clusters/storage.html", {"found": found, "tables": tables})


@require_POST
@needs()
def purge(request: HttpRequest, pk: int) -> HttpResponse:
    calculation = get_object_or_404(Calculation.objects.visible_to(request.user), pk=pk)
    try:
        count = retention.purge_now(calculation, actor=request.user)
        words = "s" if count > 1 else ""
        messages.success(
            request, f"The raw files of {count} run{words} go as soon as the cluster hears of it."
        )
    except WrongMoment as error:
        messages.error(request, error.message)
    return redirect("calculation-detail", calculation.pk, "files")
