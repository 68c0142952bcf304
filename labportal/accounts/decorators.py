"""The door of page views: who is not signed in goes to sign in, who may not is refused."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse

from labportal.accounts.roles import Can, can, require

View = Callable[..., HttpResponse]


def needs(verb: Can = Can.SIGN_IN) -> Callable[[View], View]:
    """Let through who may do `verb`; by default everybody who is signed in."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not can(request.user, Can.SIGN_IN):
                here = request.get_full_path() if request.method == "GET" else "/"
                return redirect_to_login(here)
            require(request.user, verb)
            return view(request, *args, **kwargs)

        return guarded

    return decorate
