"""The forms by which a model and its further versions come in, and that of its settings."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can, can
from labportal.accounts.views import submit
from labportal.common.errors import InvalidInput
from mlmodels.forms import RegisterForm, SettingsForm, VersionForm
from mlmodels.models import ModelVersion, RegisteredModel
from mlmodels.policy import require_change
from mlmodels.selectors.finding import find, find_version
from mlmodels.selectors.versions import facts, standing_of
from mlmodels.services import models, version_checks, versions
from mlmodels.views import detail
from mlmodels.views.verbs import said


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Can.REGISTER_MODEL)
def model_register(request: HttpRequest) -> HttpResponse:
    """The model and its first version on one page."""
    start = {"time_zone": request.user.time_zone}
    form = RegisterForm(request.POST or None, request.FILES or None, initial=start)
    made: list[RegisteredModel] = []
    if request.method == "POST" and submit(form, lambda _: made.append(_register(request, form))):
        return _first_version(request, made[0], form)
    context = {"form": form, "may_approve": can(request.user, Can.APPROVE_MODEL)}
    status = 400 if request.method == "POST" else 200
    return render(request, "mlmodels/register.html", context, status=status)


def _register(request: HttpRequest, form: RegisterForm) -> RegisteredModel:
    """Look at the version before the model is made: what is wrong is said of both at once."""
    values = form.version_values()
    plain = {name: values[name] for name in versions.FIELDS if name in values}
    wrong: dict[str, str] = {}
    for check in (
        lambda: version_checks.check(ModelVersion(**plain)),
        lambda: version_checks.check_secrets(values["secrets"], values["environment"]),
    ):
        try:
            check()
        except InvalidInput as problem:
            wrong |= problem.errors
    if wrong:
        raise InvalidInput(errors=wrong)
    return models.register(**form.model_values(), actor=request.user)


def _first_version(
    request: HttpRequest, model: RegisteredModel, form: RegisterForm
) -> HttpResponse:
    """Its files are looked through last; where they are refused, only the version is asked anew."""
    try:
        version = versions.add_version(model, **form.version_values(), actor=request.user)
    except InvalidInput as problem:
        messages.error(request, f"{model.name} is registered, its version is not: {said(problem)}")
        return redirect("model-version-add", model.name)
    if version.approved:
        messages.success(request, f"{model.name} is registered. Start it to have it answer.")
    else:
        messages.info(request, f"{model.name} is registered; a moderator looks at v1 first.")
    return redirect(model)


@require_http_methods(["GET", "HEAD", "POST"])
@needs()
def version_add(request: HttpRequest, name: str) -> HttpResponse:
    """The next version, filled in with what the newest one has."""
    model = find(request.user, name)
    require_change(request.user, model)
    before = model.versions.order_by("-number").first()
    form = VersionForm(request.POST or None, request.FILES or None, initial=_initial(before))
    made: list[ModelVersion] = []

    def add(_: Any) -> None:
        values = form.version_values()
        made.append(versions.add_version(model, **values, based_on=before, actor=request.user))

    if request.method == "POST" and submit(form, add):
        return _added(request, model, made[0])
    context = {"form": form, "model": model, "before": before}
    status = 400 if request.method == "POST" else 200
    return render(request, "mlmodels/version_form.html", context, status=status)


def _initial(before: ModelVersion | None) -> dict[str, Any]:
    if before is None:
        return {}
    kept = {name: getattr(before, name) for name in versions.FIELDS if name != "note"}
    secrets = dict.fromkeys(before.secret_names, "")
    return kept | {"secrets": secrets, "keep_files": bool(before.files_key)}


def _added(request: HttpRequest, model: RegisteredModel, version: ModelVersion) -> HttpResponse:
    if not version.approved:
        messages.info(request, f"v{version.number} is added; a moderator looks at it first.")
    elif version.pk == model.current_id:
        messages.success(
            request, f"v{version.number} is added. Start {model.name} to have it answer."
        )
    else:
        messages.success(request, f"v{version.number} is added. Deploy it to have it serve.")
    return redirect(reverse("model-detail", args=[model.name, "versions"]))


@require_safe
@needs()
def version_detail(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Everything that a version is made of, under the tab of versions."""
    model = find(request.user, name)
    version = find_version(model, number)
    context = {
        **detail.header(request, model, detail.tab_of("versions")),
        "version": version,
        "facts": facts(version),
        "standing": standing_of(model, version),
    }
    return render(request, "mlmodels/version.html", context)


@require_POST
@needs()
def model_edit(request: HttpRequest, name: str) -> HttpResponse:
    """What the tab of settings posts."""
    model = find(request.user, name)
    require_change(request.user, model)
    form = SettingsForm(request.POST)
    if submit(form, lambda _: models.update(model, **form.setting_values(), actor=request.user)):
        messages.success(request, "Saved.")
        return redirect(reverse("model-detail", args=[model.name, "settings"]))
    return detail.page(request, model, detail.tab_of("settings"), status=400, form=form)
