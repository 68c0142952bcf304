"""The tab Try it: a form from the input schema, the document that it stands for, the answer drawn.

The page itself calls the model, through the proxy: no thread of ours waits for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can, can
from labportal.common.errors import InvalidInput, NotFound
from labportal.common.sending import find_subject
from mlmodels.answers.drawing import MOST_DRAWN, drawn
from mlmodels.content import is_text
from mlmodels.fitting import fit
from mlmodels.inputs.bound import bound
from mlmodels.inputs.fields import Group, group_of
from mlmodels.inputs.filling import NOTHING, Shown, filled, fits, initial
from mlmodels.inputs.reading import Entered, entered
from mlmodels.models import ModelVersion, RegisteredModel
from mlmodels.selectors.finding import find, find_version
from mlmodels.snippets import JSON, snippets

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Input:
    """How the body of a call is entered: by the fields of `group`, else as a text or a file."""

    version: ModelVersion
    content_type: str
    group: Group | None

    @property
    def is_text(self) -> bool:
        """Whether the body is written in the form; else a file is sent."""
        return is_text(self.content_type)


def try_it(request: HttpRequest, model: RegisteredModel) -> dict[str, Any]:
    """?version=, ?type= of the content; ?with= names a thing that fills the form, ?empty=1 does
    not fill in the example.
    """
    version = version_of(model, request.GET.get("version", ""))
    shared = {
        "may_call": can(request.user, Can.CALL_MODEL),
        "version": version,
        "most_answer": MOST_DRAWN,
    }
    if version is None:
        return shared
    types = version.accepts or [JSON]
    asked = input_of(version, request.GET.get("type", ""))
    subject = request.GET.get("with", "")
    example = "" if request.GET.get("empty") or asked.content_type != types[0] else version.example
    values, text, about = _filled(request, asked, subject, example)
    named = "version" in request.GET and version.pk != model.current_id
    url = invocation_url(model, version if named else None)
    return shared | {
        "input": asked,
        "types": [{"name": one, "current": one == asked.content_type} for one in types],
        "form": bound(asked.group, values) if asked.group else None,
        "text": text,
        "about": about,
        "named_version": named,
        "has_example": bool(version.example),
        "invoke_url": url,
        "snippets": snippets(f"{settings.PUBLIC_URL}{url}", asked.content_type, text),
    }


def _filled(
    request: HttpRequest, asked: Input, subject: str, example: str
) -> tuple[dict[str, Shown], str, Any]:
    """What stands in the fields, the body as text, and the thing that it is about."""
    group, version = asked.group, asked.version
    about, text = None, example
    if subject:
        about = find_subject(request.user, subject)
        found = fit(about, version.accepts, version.input_schema)
        text = found.body if found else ""
        if group and found and found.document is not None:
            return filled(group, found.document), text, about
    if group is None:
        return {}, text, about
    document = document_of(example)
    if document is not NOTHING and fits(group, document):
        return filled(group, document), example, about
    return initial(group), "", about


def version_of(model: RegisteredModel, number: str) -> ModelVersion | None:
    """The version of that number, else the one that serves, else the newest. Raises NotFound."""
    if number:
        if not number.isdecimal() or len(number) > 9:
            raise NotFound(f"{model.name} has no such version.")
        return find_version(model, int(number))
    if model.current is not None:
        return find_version(model, model.current.number)
    return model.versions.order_by("-number").first()


def input_of(version: ModelVersion, content_type: str) -> Input:
    types = version.accepts or [JSON]
    chosen = content_type if content_type in types else types[0]
    has_form = chosen in (JSON, "*/*", "application/*") and bool(version.input_schema)
    like = document_of(version.example)
    group = group_of(version.input_schema, like) if has_form else None
    return Input(version, JSON if has_form else chosen, group)


def invocation_url(model: RegisteredModel, version: ModelVersion | None = None) -> str:
    which = f"/versions/{version.number}" if version else ""
    return f"/api/v1/models/{model.name}{which}/invocations"


def document_of(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else NOTHING
    except (ValueError, RecursionError):
        return NOTHING


@needs(Can.CALL_MODEL)
@require_POST
def try_document(request: HttpRequest, name: str) -> HttpResponse:
    """The body that the filled form stands for, with its snippets; 400 names the fields at fault.
    Only forms with fields come here: a text or a file is the body itself.
    """
    model = find(request.user, name)
    try:
        asked, found = read_form(request, model)
    except InvalidInput as error:
        return JsonResponse({"errors": {"": error.message}}, status=400)
    if found.errors:
        errors = {f"in:{pointer}": words for pointer, words in found.errors.items() if pointer}
        whole = {"": found.errors[""]} if "" in found.errors else {}
        return JsonResponse({"errors": errors | whole}, status=400)
    named = asked.version if request.POST.get("named") else None
    url = f"{settings.PUBLIC_URL}{invocation_url(model, named)}"
    return JsonResponse(
        {
            "body": found.body,
            "snippets": {one.name: one.text for one in snippets(url, JSON, found.body)},
        }
    )


def read_form(request: HttpRequest, model: RegisteredModel) -> tuple[Input, Entered]:
    """Raises InvalidInput where there is no form, and for a file that is larger than a call."""
    version = version_of(model, request.POST.get("version", ""))
    if version is None:
        raise InvalidInput(f"{model.name} has no version that could be called.")
    asked = input_of(version, request.POST.get("type", ""))
    if asked.group is None:
        raise InvalidInput("This input has no fields; send the text or the file itself.")
    limit = model.max_body_mib * MEBIBYTE
    files = {name: _read(upload, limit) for name, upload in request.FILES.items() if upload}
    texts = dict(request.POST.lists())
    example = document_of(version.example)
    return asked, entered(asked.group, version.input_schema, texts, files, example=example)


def _read(upload: UploadedFile, limit: int) -> bytes:
    if (upload.size or 0) > limit:
        raise InvalidInput(f"{upload.name} is larger than the {limit // MEBIBYTE} MiB of a call.")
    return upload.read()


@needs(Can.CALL_MODEL)
@require_POST
def try_answer(request: HttpRequest, name: str) -> HttpResponse:
    """An answer that the page got, drawn; ?type= is its content type."""
    model = find(request.user, name)
    version = version_of(model, request.GET.get("version", ""))
    schema = version.output_schema if version else None
    found = drawn(request.body, request.GET.get("type", "")[:100], schema)
    return render(request, "mlmodels/_answer.html", {"drawn": found, "model": model})
