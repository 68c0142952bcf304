"""How structures are written on pages."""

from __future__ import annotations

import re

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.filter
def lowered(formula: str) -> SafeString:
    """H2O with its numbers as subscripts."""
    return mark_safe(re.sub(r"(\d+)", r"<sub>\1</sub>", escape(formula)))  # noqa: S308
