"""The audit trail as pages: all of it, and what concerns one person."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from labportal.accounts.decorators import needs
from labportal.accounts.paging import page_of
from labportal.accounts.roles import Can
from labportal.accounts.selectors import users_for
from labportal.audit import selectors


@require_safe
@needs(Can.VIEW_AUDIT)
def audit_list(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("text", "")[:100].replace("\0", "")
    rows = selectors.search(selectors.visible_to(request.user), text=text)
    return render(request, "audit/audit_list.html", {"page": page_of(rows, request), "text": text})


@require_safe
@needs(Can.VIEW_AUDIT)
def user_audit(request: HttpRequest, user_id: int) -> HttpResponse:
    """What a person did, and what was done to their account."""
    person = get_object_or_404(users_for(request.user), pk=user_id)
    rows = selectors.trail_of(person, viewer=request.user)
    return render(
        request, "audit/user_audit.html", {"page": page_of(rows, request), "person": person}
    )
