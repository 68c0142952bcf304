"""The inbox page, and the e-mail that an admin sends to try it. Reading is by post; following a
link marks it as read on the way.
"""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from labportal.accounts.decorators import needs
from labportal.accounts.paging import page_of
from labportal.accounts.roles import Can
from labportal.common import trial
from labportal.notifications import email_trial, selectors, services


@require_safe
@needs()
def notification_list(request: HttpRequest) -> HttpResponse:
    rows = selectors.inbox(request.user)
    only_unread = request.GET.get("show") == "unread"
    context = {
        "page": page_of(rows.unread() if only_unread else rows, request),
        "unread": selectors.unread_count(request.user),
        "only_unread": only_unread,
    }
    return render(request, "notifications/notification_list.html", context)


@require_safe
@needs()
def unread(request: HttpRequest) -> HttpResponse:
    """The number beside the bell, as a partial for the page to fetch."""
    return render(
        request, "notifications/_unread.html", {"unread": selectors.unread_count(request.user)}
    )


@require_POST
@needs()
def read(request: HttpRequest, notification_id: int) -> HttpResponse:
    """Mark as read and go where it points."""
    row = services.mark_read(notification_id, actor=request.user)
    if request.POST.get("open") and row.url:
        return redirect(row.url)
    return redirect("notification-list")


@require_POST
@needs()
def read_all(request: HttpRequest) -> HttpResponse:
    services.mark_all_read(actor=request.user)
    messages.success(request, "Everything is read.")
    return redirect("notification-list")


@require_POST
@needs(Can.MANAGE_SETTINGS)
def email_test(request: HttpRequest) -> HttpResponse:
    trial.keep(request, "email", email_trial.send_test(actor=request.user))
    return redirect(f"{reverse('lab-settings')}#email-trial")
