"""Signing in and out in the browser."""

from django.conf import settings
from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from labportal.accounts.forms import SignInForm
from labportal.accounts.services import sign_in as service

BACKEND = "django.contrib.auth.backends.ModelBackend"


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect(after_sign_in(request))
    form = SignInForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                user = service.check(request, **form.cleaned_data)
            except (service.WrongCredentials, service.LockedOut) as problem:
                form.add_error(None, problem.message)
                status = problem.status if isinstance(problem, service.LockedOut) else 400
            else:
                login(request, user, backend=BACKEND)
                return redirect(after_sign_in(request))
    context = {"form": form, "next": request.POST.get("next") or request.GET.get("next", "")}
    return render(request, "accounts/sign_in.html", context, status=status)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End this browser's session; harmless for who is not signed in."""
    logout(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


def after_sign_in(request: HttpRequest, default: str = settings.LOGIN_REDIRECT_URL) -> str:
    """Return `next` where it stays on this portal."""
    target = request.POST.get("next") or request.GET.get("next", "")
    if url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return target
    return default
