"""Template tags that every page may use without loading them (settings name it as builtin).

Numbers carry the digits that they mean, times are relative with the exact time on hover.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from labportal.common import vendor
from labportal.common.clock import now

register = template.Library()

THIN_SPACE = "\u202f"
MINUS = "\u2212"
TIMES_TEN = "\u00a0\u00d7\u00a010"
SUPERSCRIPT = str.maketrans(
    "-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"
)
NOTHING = "\u2013"
AGES = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (30 * 86_400, 86_400, "d"))


@register.filter(name="datetime")
def exact(moment: datetime | None) -> str:
    """Return the exact time in the person's zone, such as 2026-11-21 14:02:05 CET."""
    if not isinstance(moment, datetime):
        return NOTHING
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S %Z")


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """Return a <time> element: "3 min ago" or "in 5 min", with the exact time on hover."""
    if not isinstance(moment, datetime):
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        moment.isoformat(timespec="seconds"),
        exact(moment),
        relative((now() - moment).total_seconds(), moment),
    )


def relative(seconds: float, moment: datetime) -> str:
    """Word an age in seconds; beyond a month the date says more."""
    age = abs(seconds)
    if age < 5:
        return "just now"
    for limit, unit_seconds, unit in AGES:
        if age < limit:
            words = f"{int(age // unit_seconds)} {unit}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return timezone.localtime(moment).strftime("%d %b %Y").lstrip("0")


@register.filter
def duration(value: Any) -> str:
    """Return seconds or a timedelta as 0.42 s, 12 s, 4 min 05 s, 1 h 04 min or 2 d 03 h."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else _real(value)
    if seconds is None:
        return NOTHING
    if abs(seconds) < 10 and seconds != int(seconds):
        return f"{seconds:.2g} s"
    sign, whole = (MINUS if seconds < 0 else ""), round(abs(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if not minutes:
        return f"{sign}{whole} s"
    if not hours:
        return f"{sign}{minutes} min {whole % 60:02d} s"
    if not days:
        return f"{sign}{hours} h {minutes % 60:02d} min"
    return f"{sign}{days} d {hours % 24:02d} h"


@register.filter
def number(value: Any, digits: int = 4) -> str:
    """Return a number with so many significant digits; whole numbers in full, thousands set off."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _grouped(str(abs(value)), negative=value < 0)
    real = _real(value)
    if real is None:
        return NOTHING
    if math.isinf(real) or math.isnan(real):
        return str(real).replace("-", MINUS).replace("inf", "\u221e")
    if real == 0:
        return "0"
    mantissa, exponent = f"{abs(real):.{int(digits) - 1}e}".split("e")
    power = int(exponent)
    if -4 <= power < 7:
        return _grouped(f"{abs(real):.{max(int(digits) - 1 - power, 0)}f}", negative=real < 0)
    return f"{MINUS if real < 0 else ''}{mantissa}{TIMES_TEN}{str(power).translate(SUPERSCRIPT)}"


@register.filter
def file_size(value: Any) -> str:
    """Return bytes as 512 B, 1.4 kB, 23 MB (powers of 1000)."""
    size = _real(value)
    if size is None:
        return NOTHING
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


@register.filter
def mebibytes(value: Any) -> str:
    """Return an amount of memory in MiB as 512 MiB, 1.5 GiB, 1 536 GiB."""
    size = _real(value)
    if size is None:
        return NOTHING
    if size < 1024:
        return f"{size:.0f} MiB"
    return f"{_grouped(f'{size / 1024:.2f}'.rstrip('0').rstrip('.'), negative=False)} GiB"


@register.simple_tag
def vendor_script(name: str, *, module: bool = False) -> SafeString:
    """Load a third-party script, deferred: {% vendor_script "uplot/uPlot.iife.min.js" %}."""
    path = f"vendor/{name}"
    kind = 'type="module"' if module else "defer"
    return format_html(f'<script {kind} src="{{}}"{{}}></script>', static(path), _integrity(path))


@register.simple_tag
def vendor_style(name: str) -> SafeString:
    """Load a third-party style sheet: {% vendor_style "uplot/uPlot.min.css" %}."""
    path = f"vendor/{name}"
    return format_html('<link rel="stylesheet" href="{}"{}>', static(path), _integrity(path))


def _integrity(path: str) -> SafeString | str:
    value = vendor.integrity(path)
    return format_html(' integrity="{}"', value) if value else ""


def _real(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _grouped(digits: str, *, negative: bool) -> str:
    whole, dot, rest = digits.partition(".")
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", THIN_SPACE)
    return f"{MINUS if negative else ''}{whole}{dot}{rest}"
