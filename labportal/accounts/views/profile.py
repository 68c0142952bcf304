"""A person's own page: name, preferences, password, and where they are signed in."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from labportal.accounts import selectors
from labportal.accounts.decorators import needs
from labportal.accounts.forms import ColourSchemeForm, OwnPasswordForm, ProfileForm
from labportal.accounts.services import sessions, users
from labportal.accounts.views import submit
from labportal.accounts.views.sign_in import after_sign_in


@require_http_methods(["GET", "HEAD", "POST"])
@needs()
def profile(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _page(request)
    form = ProfileForm(request.POST, user=request.user)
    if submit(form, lambda data: users.change_profile(request.user, data, actor=request.user)):
        messages.success(request, "Saved.")
        return redirect("profile")
    return _page(request, form=form, status=400)


@sensitive_post_parameters("old_password", "new_password")
@require_POST
@needs()
def password(request: HttpRequest) -> HttpResponse:
    """Change the password; this browser stays signed in, everything else does not."""
    form = OwnPasswordForm(request.POST)

    def change(data: dict[str, Any]) -> None:
        users.change_own_password(request.user, old=data["old_password"], new=data["new_password"])
        update_session_auth_hash(request, request.user)
        sessions.begin(request, user=request.user)

    if submit(form, change):
        messages.success(request, "Your password is changed. Other browsers are signed out.")
        return redirect("profile")
    return _page(request, password_form=form, status=400)


@require_POST
@needs()
def colour_scheme(request: HttpRequest) -> HttpResponse:
    form = ColourSchemeForm(request.POST)
    if form.is_valid():
        users.change_profile(request.user, form.cleaned_data, actor=request.user)
    return redirect(after_sign_in(request))


@require_POST
@needs()
def revoke_browser(request: HttpRequest, session_id: int) -> HttpResponse:
    sessions.revoke_browser(session_id, actor=request.user)
    messages.success(request, "That browser is signed out.")
    return redirect("profile")


@require_POST
@needs()
def revoke_program(request: HttpRequest, grant_id: int) -> HttpResponse:
    sessions.revoke_grant(grant_id, actor=request.user)
    messages.success(request, "That program is signed out within ten minutes at most.")
    return redirect("profile")


@require_POST
@needs()
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    sessions.sign_out_everywhere(request.user, actor=request.user)
    request.session.flush()
    return redirect("sign-in")


def _page(
    request: HttpRequest,
    *,
    form: ProfileForm | None = None,
    password_form: OwnPasswordForm | None = None,
    status: int = 200,
) -> HttpResponse:
    user = request.user
    context = {
        "form": form or ProfileForm(initial=_present(user), user=user),
        "password_form": password_form or OwnPasswordForm(),
        "browsers": selectors.browsers_of(user),
        "programs": selectors.programs_of(user),
        "this_session": request.session.session_key,
    }
    return render(request, "accounts/profile.html", context, status=status)


def _present(user: Any) -> dict[str, Any]:
    return {name: getattr(user, name) for name in users.PROFILE_FIELDS}
