"""A whole input file, pasted or uploaded, as the values of the form; nothing is stored."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest

from calculations.forms import PARAMETER, DraftForm, shown
from calculations.services import inputs
from calculations.software.base import Software
from calculations.software.parameters import Kind
from labportal.common.errors import InvalidInput

MOST_BYTES = 5 * 2**20


def filled_from_file(request: HttpRequest, software: Software) -> tuple[DraftForm, str]:
    """Return the form with what the file says on top of what was entered, and what is wrong."""
    said = request.POST.copy()
    upload = request.FILES.get("input_file")
    text = said.get("input_text", "")
    if upload is not None:
        text = upload.read(MOST_BYTES).decode("utf-8", errors="replace")
    error = ""
    try:
        found = inputs.read(software, text)
    except InvalidInput as refused:
        error = refused.errors.get("input", refused.message)
    else:
        for parameter in software.parameters:
            name, value = PARAMETER + parameter.name, found.parameters[parameter.name]
            if parameter.kind is not Kind.BOOLEAN:
                said[name] = shown(value)
            elif value:
                said[name] = "on"
            else:
                said.pop(name, None)
        said["input_text"] = ""
        said.pop("structure", None)
        messages.success(request, " ".join(["The form is filled in.", *found.notes]))
    return DraftForm(said, software=software, user=request.user), error
