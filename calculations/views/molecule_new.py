"""A new structure: pasted or uploaded, seen before it is kept."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString, mark_safe

from calculations.services import structures as service
from calculations.structures import geometry
from calculations.structures.fingerprint import fingerprints
from calculations.structures.formats import FORMATS
from calculations.structures.found import Found
from calculations.structures.picture import svg
from calculations.structures.reading import MAX_BYTES
from labportal.accounts.decorators import needs
from labportal.accounts.models import Project, User
from labportal.accounts.roles import Can
from labportal.common.errors import InvalidInput

EXAMPLE = "3\nwater\nO  0.000  0.000  0.000\nH  0.757  0.586  0.000\nH -0.757  0.586  0.000"


class StructureForm(forms.Form):
    """All checks are the service's; a file wins over pasted text."""

    name = forms.CharField(
        label="Name",
        required=False,
        widget=forms.TextInput({"class": "form-control", "maxlength": "200"}),
        help_text="Empty: what the file calls itself, or the formula.",
    )
    project = forms.ModelChoiceField(
        Project.objects.none(),
        label="Project",
        to_field_name="slug",
        empty_label=None,
        widget=forms.Select({"class": "form-select"}),
    )
    file = forms.FileField(
        label="File",
        required=False,
        widget=forms.FileInput({"class": "form-control"}),
        help_text="xyz, extended xyz, CIF, POSCAR, PDB, fdf, XSF or XV, up to 5 MiB.",
    )
    content = forms.CharField(
        label="Or pasted text",
        required=False,
        strip=False,
        widget=forms.Textarea(
            {"class": "form-control", "rows": 12, "spellcheck": "false", "placeholder": EXAMPLE}
        ),
    )
    format = forms.ChoiceField(
        label="Format",
        required=False,
        choices=[("", "find out"), *((f.name, f.label) for f in FORMATS.values())],
        widget=forms.Select({"class": "form-select"}),
    )
    tags = forms.CharField(
        label="Tags",
        required=False,
        widget=forms.TextInput({"class": "form-control"}),
        help_text="With commas between them.",
    )
    file_name = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        projects = Project.objects.visible_to(user)
        self.fields["project"].queryset = projects
        self.fields["project"].initial = projects.filter(is_default=True).first()

    def take_errors(self, errors: dict[str, str]) -> None:
        for name, text in errors.items():
            self.add_error(name if name in self.fields else None, text)


@needs(Can.CREATE_CALCULATION)
def molecule_new(request: HttpRequest) -> HttpResponse:
    form = StructureForm(request.POST or None, request.FILES or None, user=request.user)
    if request.method != "POST":
        return render(request, "molecules/new.html", {"form": form})
    if not form.is_valid():
        return render(request, "molecules/new.html", {"form": form}, status=400)
    content, file_name = _content(form)
    chosen = form.cleaned_data["format"]
    try:
        if request.POST.get("verb") == "save":
            return _save(request, form, content, file_name)
        found = service.read(content, format=chosen, file_name=file_name)
    except InvalidInput as error:
        form.take_errors(error.errors)
        return render(request, "molecules/new.html", {"form": form}, status=400)
    context = _seen(found, form.cleaned_data["project"])
    context["form"] = _again(request, form, found, content, file_name)
    return render(request, "molecules/new.html", context)


def _content(form: StructureForm) -> tuple[str | bytes, str]:
    upload = form.cleaned_data["file"]
    if upload is not None:
        return upload.read(MAX_BYTES + 1), upload.name
    return form.cleaned_data["content"], form.cleaned_data["file_name"]


def _save(
    request: HttpRequest, form: StructureForm, content: str | bytes, file_name: str
) -> HttpResponse:
    said = form.cleaned_data
    structure, is_new = service.create(
        said["project"],
        name=said["name"],
        content=content,
        format=said["format"],
        file_name=file_name,
        tags=said["tags"].split(","),
        actor=request.user,
    )
    if is_new:
        messages.success(request, f"{structure.number} is in the library.")
    else:
        messages.info(request, f"It was here already, as {structure.number}; nothing was added.")
    return redirect(structure)


def _seen(found: Found, project: Project) -> dict[str, Any]:
    atoms = found.structure
    drawing: SafeString = mark_safe(svg(atoms))  # noqa: S308  (drawn by us; no text of the file)
    return {
        "found": found,
        "atoms": atoms,
        "facts": geometry.facts(atoms),
        "format": FORMATS[found.format],
        "drawing": drawing,
        "document": geometry.document(atoms),
        "there": service.identical(fingerprints(atoms), project),
    }


def _again(
    request: HttpRequest, form: StructureForm, found: Found, content: str | bytes, file_name: str
) -> StructureForm:
    """The form with an upload turned into text, since browsers do not send a file twice."""
    text = content if isinstance(content, str) else content.decode("utf-8", errors="replace")
    initial = {
        **{name: form.cleaned_data[name] for name in ("name", "project", "tags")},
        "content": text,
        "format": found.format,
        "file_name": file_name,
    }
    if not initial["name"]:
        stem = file_name.rsplit(".", 1)[0] if file_name else ""
        initial["name"] = found.structure.comment or stem or found.structure.formula
    return StructureForm(user=request.user, initial=initial)
