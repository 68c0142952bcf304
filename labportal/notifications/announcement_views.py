"""The pages of announcements: the admins' list and form, and the line on top of each page."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from labportal.accounts.decorators import needs
from labportal.accounts.paging import page_of
from labportal.accounts.roles import Can
from labportal.accounts.views import submit
from labportal.common.clock import now
from labportal.notifications import announcements as services
from labportal.notifications.forms import AnnouncementForm
from labportal.notifications.models import Announcement


def banner(request: HttpRequest, **_: object) -> str:
    """The first announcement that the person has not put away, on top of every page."""
    told = services.unread(request.user)
    if not told:
        return ""
    context = {"told": told[0], "more": len(told) - 1}
    return render_to_string("notifications/_announcement.html", context, request)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Can.MANAGE_SETTINGS)
def announcement_list(request: HttpRequest) -> HttpResponse:
    form = AnnouncementForm(request.POST or None)
    if request.method == "POST" and submit(
        form, lambda data: services.announce(data, actor=request.user)
    ):
        messages.success(request, "It stands on top of every page from its time on.")
        return redirect("announcement-list")
    context = {
        "form": form,
        "page": page_of(services.announcements(request.user), request),
        "now": now(),
    }
    status = 400 if request.method == "POST" else 200
    return render(request, "notifications/announcement_list.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Can.MANAGE_SETTINGS)
def announcement_edit(request: HttpRequest, announcement_id: int) -> HttpResponse:
    row = get_object_or_404(services.announcements(request.user), pk=announcement_id)
    initial = {name: getattr(row, name) for name in services.FIELDS}
    form = AnnouncementForm(request.POST or None, initial=initial)
    if request.method == "POST" and submit(
        form, lambda data: services.edit(row, data, actor=request.user)
    ):
        messages.success(request, "Saved.")
        return redirect("announcement-list")
    context = {"form": form, "row": row}
    status = 400 if request.method == "POST" else 200
    return render(request, "notifications/announcement_edit.html", context, status=status)


@require_POST
@needs(Can.MANAGE_SETTINGS)
def announcement_end(request: HttpRequest, announcement_id: int) -> HttpResponse:
    row = get_object_or_404(services.announcements(request.user), pk=announcement_id)
    services.end(row, actor=request.user)
    messages.success(request, "It is shown no more.")
    return redirect("announcement-list")


@require_POST
@needs()
def announcement_away(request: HttpRequest, announcement_id: int) -> HttpResponse:
    """Put away what was read; another one, or a new text, is shown again."""
    row = get_object_or_404(Announcement.objects.all(), pk=announcement_id)
    services.put_away(row, actor=request.user)
    target = request.POST.get("next", "")
    good = url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()})
    return redirect(target if good and target.startswith("/") else "dashboard")
