"""Form fields of models that read structured text: lines NAME=value, a JSON document, a command,
content types. Each says which line is wrong and how it would be right.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from django import forms

TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9*][a-z0-9!#$&^_.+*-]*")


def textarea(rows: int, **attrs: Any) -> forms.Textarea:
    return forms.Textarea(
        attrs={"class": "form-control", "rows": rows, "spellcheck": "false", **attrs}
    )


class EnvironmentField(forms.CharField):
    """Lines NAME=value as a dict; empty lines and those that begin with # count for nothing."""

    def to_python(self, value: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for number, line in enumerate(super().to_python(value).splitlines(), start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            name, equals, text = line.partition("=")
            name = name.strip()
            if not equals or not name:
                raise forms.ValidationError(f"Line {number} is not of the form NAME=value.")
            if name in found:
                raise forms.ValidationError(f"Line {number} sets {name} a second time.")
            found[name] = text.strip()
        return found

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return "\n".join(f"{name}={text}" for name, text in value.items())
        return value


class DocumentField(forms.CharField):
    """A JSON object as a dict; nothing is {}."""

    def to_python(self, value: Any) -> dict[str, Any]:
        text = super().to_python(value)
        if not text.strip():
            return {}
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            place = f"line {error.lineno}, column {error.colno}"
            raise forms.ValidationError(f"This is not JSON: {error.msg} at {place}.") from None
        except RecursionError:
            raise forms.ValidationError("This is nested too deeply.") from None
        if not isinstance(found, dict):
            raise forms.ValidationError('A JSON Schema is an object: {"type": "object", …}.')
        return found

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return json.dumps(value, indent=2, ensure_ascii=False) if value else ""
        return value


class CommandField(forms.CharField):
    """A command as a shell would split it, into a list; no shell ever sees it."""

    def to_python(self, value: Any) -> list[str]:
        try:
            return shlex.split(super().to_python(value))
        except ValueError:
            raise forms.ValidationError("A quotation mark is not closed.") from None

    def prepare_value(self, value: Any) -> Any:
        return shlex.join(map(str, value)) if isinstance(value, list) else value


class TypesField(forms.CharField):
    """Content types, the first of which its example has."""

    def to_python(self, value: Any) -> list[str]:
        found = [t.lower() for t in re.split(r"[\s,;]+", super().to_python(value)) if t]
        for one in found:
            if not TYPE.fullmatch(one):
                raise forms.ValidationError(f"“{one}” is no content type such as application/json.")
        return list(dict.fromkeys(found))

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value
