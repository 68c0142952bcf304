"""The pages of templates: which there are, saving a calculation as one, changing and deleting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from calculations.forms import initial_of
from calculations.models import Template
from calculations.selectors import templates_of
from calculations.services import templates
from calculations.software.registry import get_software
from calculations.views.finding import find
from calculations.views.rows import software_label
from calculations.views.verbs import said
from labportal.accounts.decorators import needs
from labportal.accounts.models import User
from labportal.accounts.paging import page_of
from labportal.accounts.roles import Can
from labportal.common.errors import InvalidInput, NotFound

MOST_OFFERED = 6


@dataclass(frozen=True, slots=True)
class Started:
    """What a new calculation begins with when ?template= names one."""

    template: Template
    software: str
    initial: dict[str, Any]


def started(request: HttpRequest) -> Started | None:
    """Read ?template=; what no longer fits is said on the page."""
    key = request.GET.get("template", "")
    if not key.isdecimal() or len(key) > 15:
        return None
    template = _find(request.user, int(key))
    draft, problems = templates.start(template)
    for words in problems:
        messages.warning(request, f"“{template.name}”: {words}.")
    initial = initial_of(draft, get_software(draft.software).parameters)
    return Started(template, draft.software, initial | {"name": template.name})


def offered(user: User) -> list[Template]:
    """The newest few, for the page of a new calculation."""
    return list(templates_of(user).order_by("-id")[:MOST_OFFERED])


class TemplateForm(forms.Form):
    """Shapes alone; the service says what is wrong with a name."""

    name = forms.CharField(
        required=False,
        widget=forms.TextInput({"class": "form-control", "autocomplete": "off"}),
    )
    description = forms.CharField(
        label="What it is for",
        required=False,
        widget=forms.Textarea({"class": "form-control is-prose", "rows": 3}),
    )


@require_safe
@needs()
def template_list(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("text", "")[:100].replace("\0", "")
    page = page_of(templates_of(request.user, text=text), request)
    for row in page.rows:
        row.label, row.mine = software_label(row), templates.may_change(request.user, row)
    return render(request, "calculations/template_list.html", {"page": page, "text": text})


@require_POST
@needs(Can.CREATE_CALCULATION)
def template_save(request: HttpRequest, pk: int) -> HttpResponse:
    calculation = find(request.user, pk)
    said_name, description = request.POST.get("name", ""), request.POST.get("note", "")
    try:
        saved = templates.save(
            calculation, name=said_name, description=description, actor=request.user
        )
    except InvalidInput as error:
        messages.error(request, f"Not saved as a template: {said(error)}.")
        return redirect("calculation-detail", pk)
    messages.success(request, f"The template “{saved.name}” is saved.")
    return redirect("template-list")


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Can.CREATE_CALCULATION)
def template_edit(request: HttpRequest, pk: int) -> HttpResponse:
    template = _find(request.user, pk)
    templates.require_author(template, request.user)
    initial = {"name": template.name, "description": template.description}
    form = TemplateForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            templates.change(template, **form.cleaned_data, actor=request.user)
        except InvalidInput as error:
            for name, texts in error.field_errors.items():
                form.add_error(name, texts)
        else:
            messages.success(request, "Saved.")
            return redirect("template-list")
    context = {"form": form, "template": template, "label": software_label(template)}
    status = 400 if form.errors else 200
    return render(request, "calculations/template_edit.html", context, status=status)


@require_POST
@needs(Can.CREATE_CALCULATION)
def template_delete(request: HttpRequest, pk: int) -> HttpResponse:
    template = _find(request.user, pk)
    templates.delete(template, actor=request.user)
    messages.success(request, f"The template “{template.name}” is deleted.")
    return redirect("template-list")


def _find(user: User, pk: int) -> Template:
    found = templates_of(user).filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such template, or it is in a project of others.")
    return found
