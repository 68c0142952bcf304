"""The structure with which the form of a calculation begins, and what the form shows of it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from calculations.forms import PARAMETER, DraftForm, shown
from calculations.models import Structure
from calculations.services import structures
from calculations.software.base import Software
from calculations.software.structure import WATER, read_xyz
from labportal.common.errors import NotFound


def first_structure(request: HttpRequest, software: Software) -> dict[str, Any]:
    """The form's first values for ?structure=. Raises NotFound for what one may not see."""
    said = request.GET.get("structure", "").upper().removeprefix("S-")
    if not said.isascii() or not said.isdecimal() or len(said) > 15:
        return {}
    found = Structure.objects.visible_to(request.user).filter(pk=int(said)).first()
    if found is None:
        raise NotFound(f"There is no structure S-{said}, or it is in a project of others.")
    parameters = software.structure_parameters(structures.atoms_of(found))
    if not parameters:
        return {}
    values = {PARAMETER + name: shown(value) for name, value in parameters.items()}
    return {**values, "structure": found, "name": found.name, "project": found.project}


def fills(software: Software) -> str:
    """The names of the parameters that a structure fills; empty where there are none."""
    return " ".join(software.structure_parameters(read_xyz(WATER)))


def chosen(form: DraftForm) -> Structure | None:
    """The structure that stands in the form now."""
    value = form["structure"].value()
    if isinstance(value, Structure) or value in (None, ""):
        return value or None
    known = form.fields["structure"].queryset
    return (
        known.filter(pk=value).first() if str(value).isdecimal() and len(str(value)) < 16 else None
    )
