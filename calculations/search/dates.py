"""Days and spans of days as people write them: 2026-11-01, 2026-11, monday, 7d, last-week."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

from django.utils import timezone

from labportal.common.clock import now

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ISO = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")
AGO = re.compile(r"(\d{1,4})(h|d|w)")
UNITS = {"hour": "h", "day": "d", "week": "w"}
LENGTHS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
SPANS = frozenset(
    f"{which}-{unit}" for which in ("this", "last") for unit in ("week", "month", "year")
)


def read(word: str) -> tuple[datetime, datetime] | None:
    """Return when it begins and ends, in the person's time zone; None where it is no date."""
    word = word.lower()
    try:
        found = _days(word)
        if found is None:
            return _ago(word)
        zone = timezone.get_current_timezone()
        return (
            datetime.combine(found[0], time.min, zone),
            datetime.combine(found[1], time.min, zone),
        )
    except (ValueError, OverflowError):
        return None


def _ago(word: str) -> tuple[datetime, datetime] | None:
    found = AGO.fullmatch(word)
    if found is None:
        return None
    moment = now() - int(found[1]) * LENGTHS[found[2]]
    return moment, moment


def _days(word: str) -> tuple[date, date] | None:
    today = timezone.localtime(now()).date()
    if found := ISO.fullmatch(word):
        year, month, day = (int(part) if part else None for part in found.groups())
        if day and month:
            first = date(year, month, day)
            return first, first + timedelta(days=1)
        if month:
            return _month(date(year, month, 1))
        return date(year, 1, 1), date(year + 1, 1, 1)
    if word in ("today", "yesterday"):
        first = today - timedelta(days=word == "yesterday")
        return first, first + timedelta(days=1)
    day = word if len(word) > 3 else next((d for d in WEEKDAYS if d[:3] == word), word)
    if day in WEEKDAYS:
        first = today - timedelta(days=(today.weekday() - WEEKDAYS.index(day)) % 7)
        return first, first + timedelta(days=1)
    return _named(word, today) if word in SPANS else None


def _named(word: str, today: date) -> tuple[date, date]:
    which, _, unit = word.partition("-")
    if unit == "week":
        first = today - timedelta(days=today.weekday() + 7 * (which == "last"))
        return first, first + timedelta(days=7)
    if unit == "month":
        first = today.replace(day=1)
        return _month(first if which == "this" else (first - timedelta(days=1)).replace(day=1))
    year = today.year - (which == "last")
    return date(year, 1, 1), date(year + 1, 1, 1)


def _month(first: date) -> tuple[date, date]:
    return first, (first + timedelta(days=32)).replace(day=1)


def words(moment: datetime) -> str:
    local = timezone.localtime(moment)
    if local.time() == time.min:
        return f"{local:%a} {local.day} {local:%b %Y}"
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M}"
