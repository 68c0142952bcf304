"""The pages of people and projects. Each view asks a form for shapes and a service for the deed."""

from collections.abc import Callable
from typing import Any

from django import forms

from labportal.common.errors import InvalidInput


def submit(form: forms.Form, deed: Callable[[dict[str, Any]], Any]) -> bool:
    """Do the deed with what the form holds; what the service rejects stands beside its field."""
    if not form.is_valid():
        return False
    try:
        deed(form.cleaned_data)
    except InvalidInput as problem:
        for name, text in problem.errors.items():
            form.add_error(name if name in form.fields else None, text)
        if not problem.errors:
            form.add_error(None, problem.message)
        return False
    return True
