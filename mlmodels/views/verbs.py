"""The verbs of a model, as forms post them; refusals are said on the page itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from labportal.accounts.decorators import needs
from labportal.common.errors import DomainError, InvalidInput, WrongMoment
from mlmodels.models import RegisteredModel
from mlmodels.selectors.finding import find, find_replica, find_version
from mlmodels.services import contracts, models, operation, versions
from mlmodels.states import Desired

View = Callable[..., HttpResponse]


def verb(act: Callable[..., str | None]) -> View:
    """Make a view of `act`, which does the verb, and returns where to go if not to the model."""

    @needs()
    @require_POST
    def view(request: HttpRequest, name: str, **rest: Any) -> HttpResponse:
        model = find(request.user, name)
        target = None
        try:
            target = act(request, model, **rest)
        except (InvalidInput, WrongMoment) as error:
            messages.error(request, said(error))
        return redirect(target or _next(request, model))

    return view


def said(error: DomainError) -> str:
    """The error as one sentence, with the fields' words where there are several."""
    fields = [f"{name}: {' '.join(texts)}" for name, texts in error.field_errors.items()]
    return ". ".join(fields) or error.message


def _next(request: HttpRequest, model: RegisteredModel) -> str:
    wanted = request.POST.get("next", "")
    if wanted and url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return wanted
    return model.get_absolute_url()


@verb
def start(request: HttpRequest, model: RegisteredModel) -> None:
    operation.start(model, actor=request.user)
    messages.success(request, f"{model.name} is started: it answers once it is ready.")


@verb
def stop(request: HttpRequest, model: RegisteredModel) -> None:
    operation.stop(model, actor=request.user, why=request.POST.get("note", "")[:300])
    messages.success(request, f"{model.name} is told to stop.")


@verb
def restart(request: HttpRequest, model: RegisteredModel) -> None:
    operation.restart(model, actor=request.user)
    messages.success(request, f"{model.name} starts anew.")


@verb
def restart_replica(request: HttpRequest, model: RegisteredModel, replica: UUID) -> None:
    found = find_replica(model, replica)
    operation.restart(model, actor=request.user, replica=found)
    messages.success(request, f"The replica on {found.cluster.name} starts anew.")


@verb
def roll_back(request: HttpRequest, model: RegisteredModel) -> str:
    operation.roll_back(model, actor=request.user)
    messages.success(request, _taking_over(model))
    return _versions(model)


@verb
def delete(request: HttpRequest, model: RegisteredModel) -> str:
    name = model.name
    models.remove(model, actor=request.user)
    messages.success(request, f"{name} is deleted.")
    return reverse("model-list")


@verb
def approve(request: HttpRequest, model: RegisteredModel, number: int) -> str:
    version = find_version(model, number)
    versions.approve(version, actor=request.user, note=request.POST.get("note", "")[:2000])
    messages.success(request, f"v{number} may run now.")
    return _next(request, model) if request.POST.get("next") else _versions(model)


@verb
def deploy(request: HttpRequest, model: RegisteredModel, number: int) -> str:
    operation.deploy(find_version(model, number), actor=request.user)
    messages.success(request, _taking_over(model))
    return _versions(model)


@verb
def check(request: HttpRequest, model: RegisteredModel, number: int) -> str:
    contracts.check(find_version(model, number), actor=request.user)
    messages.success(request, f"v{number} is tested: what it answers appears here by itself.")
    return f"{reverse('model-detail', args=[model.name, 'contract'])}?version={number}"


def _versions(model: RegisteredModel) -> str:
    return reverse("model-detail", args=[model.name, "versions"])


def _taking_over(model: RegisteredModel) -> str:
    if model.desired == Desired.STOPPED:
        return f"v{model.current.number} is what {model.name} serves once it is started."
    return f"v{model.current.number} comes up, and takes the calls once it is ready."
