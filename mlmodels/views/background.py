"""Calls that may take long: asked for by the form of a model, watched, cancelled, drawn."""

from __future__ import annotations

import io
from typing import Any, BinaryIO
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can, can
from labportal.common.errors import DomainError, InvalidInput, NotFound, TooLarge
from labportal.common.storage import storage
from mlmodels.answers.drawing import MOST_DRAWN, drawn
from mlmodels.answers.parts import Drawn
from mlmodels.inputs.bound import bound
from mlmodels.inputs.fields import FILES, Group, Kind
from mlmodels.inputs.filling import Shown
from mlmodels.models import AsyncInvocation, RegisteredModel
from mlmodels.selectors.finding import find, find_call
from mlmodels.services import async_calls
from mlmodels.states import ASYNC_OPEN
from mlmodels.views import detail, trying


@needs(Can.CALL_MODEL)
@require_POST
def model_queue(request: HttpRequest, name: str) -> HttpResponse:
    """Queue what the form of Try it holds; what is wrong with it is told at its fields."""
    model = find(request.user, name)
    try:
        return _queue(request, model)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("model-detail", name, "try")


def _queue(request: HttpRequest, model: RegisteredModel) -> HttpResponse:
    version = trying.version_of(model, request.POST.get("version", ""))
    if version is None:
        raise InvalidInput(f"{model.name} has no version that could be called.")
    asked = trying.input_of(version, request.POST.get("type", ""))
    if asked.group is None:
        body = _body(request, model)
    else:
        _, found = trying.read_form(request, model)
        if found.errors:
            form = bound(asked.group, _posted(asked.group, request), found.errors)
            messages.error(request, found.errors.get("", "Something of the input needs attention."))
            return detail.page(request, model, detail.tab_of("try"), status=400, form=form)
        body = io.BytesIO(found.body.encode())
    async_calls.ask(
        model,
        body,
        user=request.user,
        version=version if request.POST.get("named") else None,
        content_type=asked.content_type,
        timeout_s=async_calls.LONGEST_S,
    )
    messages.success(
        request, f"The call of {model.name} is queued; you are told when it is answered."
    )
    return redirect(f"{reverse('model-detail', args=[model.name, 'predictions'])}#calls")


def _body(request: HttpRequest, model: RegisteredModel) -> BinaryIO:
    upload = request.FILES.get("file")
    if upload is None:
        text = request.POST.get("text", "").replace("\r\n", "\n")
        if not text:
            raise InvalidInput("Write the body, or choose a file.")
        return io.BytesIO(text.encode())
    if (upload.size or 0) > model.max_body_mib * trying.MEBIBYTE:
        raise TooLarge(f"{upload.name} is larger than the {model.max_body_mib} MiB of a call.")
    return upload


def _posted(group: Group, request: HttpRequest) -> dict[str, Shown]:
    """What was entered, as the form shows it again; a file has to be chosen anew."""
    return {
        one.name: request.POST.getlist(one.name)
        if one.kind is Kind.CHOICES
        else request.POST.get(one.name, "")
        for one in group.fields()
        if one.kind not in FILES or request.POST.get(one.name)
    }


@require_safe
@needs()
def call_detail(request: HttpRequest, name: str, call_id: UUID) -> HttpResponse:
    """One call: how it does, and its answer drawn."""
    model = find(request.user, name)
    call = find_call(request.user, model, call_id)
    may_cancel = call.state in ASYNC_OPEN and (
        call.user_id == request.user.pk or can(request.user, Can.MANAGE_MODELS)
    )
    context = {
        **detail.header(request, model, detail.tab_of("predictions")),
        "call": call,
        "answered": _drawn(call),
        "may_cancel": may_cancel,
    }
    return render(request, "mlmodels/call.html", context)


@needs()
@require_POST
def call_cancel(request: HttpRequest, name: str, call_id: UUID) -> HttpResponse:
    model = find(request.user, name)
    try:
        async_calls.cancel(find_call(request.user, model, call_id), actor=request.user)
        messages.success(request, "The call is cancelled.")
    except DomainError as error:
        if error.status != 409:
            raise
        messages.error(request, error.message)
    return redirect("model-call", name, call_id)


def _drawn(call: AsyncInvocation) -> Drawn | None:
    if not call.result_key:
        return None
    if call.result_size > MOST_DRAWN:
        words = "The answer is too large to be drawn; download it."
        return Drawn(call.result_type, call.result_size, note=words)
    version: Any = call.version or call.model.current
    try:
        with storage().open(call.result_key) as stream:
            schema = version.output_schema if version else None
            return drawn(stream.read(), call.result_type, schema)
    except NotFound as error:
        return Drawn(call.result_type, 0, note=error.message)
