"""Template tags of the shared pieces: states, sweeps, bars, spark lines, panels, filter links.

Used by every app's templates. They draw what they are given and look nothing up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django import template
from django.http import QueryDict
from django.template import Context
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from labportal.common.panels import render_panels
from labportal.common.templatetags.labportal import NOTHING, TIMES_TEN, ago, number

register = template.Library()

SPARK_WIDTH, SPARK_HEIGHT, SPARK_POINTS = 110, 28, 60


@register.filter
def since(value: datetime | None) -> SafeString | str:
    """How long something has been so, ticking: 8 s, 4 min."""
    words = ago(value)
    if not isinstance(value, datetime):
        return words
    return mark_safe(  # noqa: S308  (made by ago, which escapes)
        words.replace("data-ago>", 'data-ago="since">')
        .replace(" ago<", "<")
        .replace("just now", "a moment")
    )


@register.filter
def clock(value: datetime | None) -> str:
    """The time of day in the person's zone: 14:02:05."""
    return "" if value is None else f"{timezone.localtime(value):%H:%M:%S}"


@register.inclusion_tag("components/_state.html")
def state(
    value: str, label: str = "", why: str = "", since: datetime | None = None
) -> dict[str, Any]:
    """The dot and the word; see components/_state.html."""
    return {
        "value": value,
        "label": label or str(value).replace("_", " ").capitalize(),
        "why": why,
        "since": since,
    }


@register.inclusion_tag("components/_strip.html")
def strip(cells: Iterable[Any], label: str = "runs", most: int = 40) -> dict[str, Any]:
    """One small square per run; see components/_strip.html."""
    drawn = list(cells)
    return {
        "cells": drawn[:most],
        "more": max(0, len(drawn) - most),
        "label": label,
        "count": len(drawn),
    }


@register.inclusion_tag("components/_strip.html")
def shares(
    counts: Sequence[tuple[str, str, int]], label: str = "runs", most: int = 24
) -> dict[str, Any]:
    """Many runs as few squares, in proportion, each state (value, words, count) with one at least;
    see components/_strip.html.
    """
    total = sum(count for _, _, count in counts)
    drawn = []
    for (value, words, count), squares in zip(counts, _squares(counts, most), strict=True):
        drawn += [
            {"state": value, "get_state_display": f"{number(count)} {words.lower()}"}
        ] * squares
    return {
        "cells": drawn,
        "words": ", ".join(f"{count} {words.lower()}" for _, words, count in counts),
        "after": number(total),
        "label": label,
        "count": total,
    }


def _squares(counts: Sequence[tuple[str, str, int]], most: int) -> list[int]:
    """Share out `most` squares by the largest remainders, one at least to each."""
    total = sum(count for _, _, count in counts)
    most = min(most, total)
    exact = [most * count / total for _, _, count in counts]
    given = [max(1, int(share)) for share in exact]
    while sum(given) != most:
        step = 1 if sum(given) < most else -1
        open_to = [i for i, n in enumerate(given) if n + step > 0]
        if not open_to:
            break
        given[max(open_to, key=lambda i: step * (exact[i] - given[i]))] += step
    return given


@register.inclusion_tag("components/_bar.html")
def bar(
    value: float | None, of: float = 100.0, label: str = "", held: float = 0.0, thick: bool = False
) -> dict[str, Any]:
    """How much of something is used; see components/_bar.html."""
    share = _percent(value, of)
    return {
        "percent": share,
        "held": max(0.0, min(_percent(held, of), 100.0 - share)),
        "known": value is not None,
        "label": label,
        "thick": thick,
    }


@register.inclusion_tag("components/_stat.html")
def stat(name: str, value: float | None, of: float = 100.0, label: str = "") -> dict[str, Any]:
    """A named bar with its percentage; see components/_stat.html."""
    share = _percent(value, of)
    return {
        "name": name,
        "value": value,
        "of": of,
        "label": label or (f"{share:.0f} %" if value is not None else NOTHING),
    }


@register.simple_tag
def sparkline(
    values: Sequence[float | None], label: str = "", log: bool = False
) -> SafeString | str:
    """A line without axes, drawn here as SVG; nothing for fewer than two numbers."""
    numbers = [float(v) for v in values if isinstance(v, int | float) and math.isfinite(v)][
        -SPARK_POINTS:
    ]
    if log and all(number > 0 for number in numbers):
        numbers = [math.log10(number) for number in numbers]
    if len(numbers) < 2:
        return ""
    low, high = min(numbers), max(numbers)
    spread = (high - low) or 1.0
    step = SPARK_WIDTH / (len(numbers) - 1)
    points = " ".join(
        f"{index * step:.1f},{2 + (SPARK_HEIGHT - 4) * (1 - (number - low) / spread):.1f}"
        for index, number in enumerate(numbers)
    )
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<polyline points="{}"/></svg>',
        SPARK_WIDTH,
        SPARK_HEIGHT,
        label or f"{len(numbers)} values, the last {numbers[-1]:.4g}",
        points,
    )


@register.simple_tag(takes_context=True)
def panels(context: Context, place: str, **subject: object) -> SafeString:
    """The panels that other apps registered for this place."""
    return render_panels(place, context["request"], **subject)


@register.simple_tag(takes_context=True)
def query(context: Context, **changes: Any) -> str:
    """This page's query string with some values changed (None or "" takes out); from page one."""
    now: QueryDict = context["request"].GET.copy()
    for name in ("after", "before", "page"):
        now.pop(name, None)
    for name, value in changes.items():
        now.pop(name, None)
        if value not in (None, ""):
            now[name] = str(value)
    return "?" + now.urlencode() if now else context["request"].path


@register.filter
def code_lines(text: str) -> list[str]:
    """The lines of a file, for components/_code.html."""
    return str(text).splitlines()


@register.filter
def item(mapping: Any, key: Any) -> Any:
    """mapping[key], None where it is not there."""
    try:
        return mapping[key]
    except (KeyError, IndexError, TypeError):
        return None


@register.filter
def quantity(value: Any, digits: int = 8) -> str:
    """A result's value: numbers with so many digits at most, without padding zeros."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    worded = number(value, digits)
    if "." not in worded:
        return worded
    head, times, power = worded.partition(TIMES_TEN)
    return head.rstrip("0").rstrip(".") + times + power


@register.filter
def is_end(verb: str) -> bool:
    """Whether the verb is a verdict, which alone does not say on what."""
    return str(verb).startswith(("finish_", "conclude_"))


@register.filter
def event_words(verb: str) -> str:
    """finish_not_valid as it is read: not valid."""
    words = str(verb).removeprefix("finish_").removeprefix("conclude_").replace("_", " ")
    return EVENT_WORDS.get(str(verb), words)


@register.filter
def cut_verdict(line: str) -> tuple[bool, str]:
    """A rule's line of evidence as whether it holds and its words."""
    verdict, _, words = str(line).partition(": ")
    return verdict == "holds", words


EVENT_WORDS = {
    "create": "drafted",
    "submit": "submitted",
    "approve": "approved",
    "approve_by_rule": "approved by rule",
    "send_back": "sent back",
    "withdraw": "withdrawn",
    "cancel": "cancelled",
    "ask_to_cancel": "asked to stop",
    "confirm_cancel": "stopped",
    "retry": "queued again",
    "reanalyse": "analysed from stored results",
    "retry_later": "waits again",
    "retry_with_change": "tried again with a change",
    "requeue": "back in the queue",
    "release": "queued",
    "assign": "handed out",
    "start": "started",
    "lose": "lost, queued again",
    "give_up": "given up",
    "skip": "skipped",
    "adopt": "late result adopted",
    "check": "checked by rule",
    "check_fails": "failed the check by rule",
    "change_results": "results changed, no longer trusted",
    "validate": "validated",
    "retract": "retracted",
    "restore": "restored",
    "order_purge": "raw files to be deleted",
    "keep_files": "raw files are kept",
    "let_files_go": "raw files go when their time is over",
    "register": "registered",
    "change": "settings changed",
    "add_version": "version added",
    "deploy": "deployed",
    "roll_back": "rolled back",
    "stop": "stopped",
    "restart": "restarted",
    "check_contract": "contract test asked for",
    "place": "replica placed",
    "switch": "takes the calls",
    "calls_fail": "calls fail",
    "calls_answered": "calls are answered again",
    "delete": "deleted",
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """One of the few drawn signs; always beside a text or inside something labelled."""
    return mark_safe(  # noqa: S308  (constants of this module)
        '<svg width="18" height="18" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
        'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">'
        f"{_ICONS[name]}</svg>"
    )


_ICONS = {
    "bell": '<path d="M6 9a6 6 0 0 1 12 0c0 6 2.5 7 2.5 7h-17S6 15 6 9M10 20a2.2 2.2 0 0 0 4 0"/>',
    "menu": '<path d="M4 7h16M4 12h16M4 17h16"/>',
    "close": '<path d="M6 6l12 12M18 6L6 18"/>',
    "download": '<path d="M12 4v11m0 0l-4.5-4.5M12 15l4.5-4.5M5 20h14"/>',
}


def _percent(value: float | None, of: float) -> float:
    if value is None or not of:
        return 0.0
    return max(0.0, min(100.0, 100.0 * float(value) / float(of)))
