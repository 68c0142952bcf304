"""When a model sleeps: a daily time to stop and one to start, on some days, in a time zone. Pure.

{"stop_at": "20:00", "start_at": "07:00", "days": [0, 1, 2, 3, 4], "time_zone": "Europe/Berlin"}:
started at 07:00 from Monday (0) to Friday, stopped at 20:00 of every day; {} never sleeps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from labportal.common.errors import InvalidInput

TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
WEEK = 7


@dataclass(frozen=True, slots=True)
class Edge:
    """A moment at which a model is started or stopped."""

    at: datetime
    starts: bool


@dataclass(frozen=True, slots=True)
class Timetable:
    """`days`: on which it is started; Monday is 0."""

    stop_at: time
    start_at: time
    days: frozenset[int]
    zone: ZoneInfo

    @classmethod
    def read(cls, schedule: Mapping[str, Any]) -> Timetable | None:
        """Return None for {}. Raises InvalidInput for the field `schedule`."""
        if not schedule:
            return None
        stop_at, start_at = (_time(schedule, name) for name in ("stop_at", "start_at"))
        if stop_at == start_at:
            raise _wrong("needs different times to stop and to start")
        days = schedule.get("days", list(range(WEEK)))
        if (
            not isinstance(days, list)
            or not days
            or not all(isinstance(day, int) and 0 <= day < WEEK for day in days)
        ):
            raise _wrong("needs days, a list of numbers from 0 (Monday) to 6 (Sunday)")
        name = schedule.get("time_zone", "UTC")
        try:
            zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            raise _wrong(
                f"knows no time zone {name!r:.60}; use one such as Europe/Berlin"
            ) from None
        return cls(stop_at, start_at, frozenset(days), zone)

    def to_json(self) -> dict[str, Any]:
        return {
            "stop_at": f"{self.stop_at:%H:%M}",
            "start_at": f"{self.start_at:%H:%M}",
            "days": sorted(self.days),
            "time_zone": self.zone.key,
        }

    def last(self, moment: datetime) -> Edge:
        """The newest edge at or before `moment`."""
        return max(
            (edge for edge in self._around(moment) if edge.at <= moment), key=lambda edge: edge.at
        )

    def next(self, moment: datetime, *, starts: bool) -> datetime:
        """When it is started, or stopped, for the next time."""
        return min(e.at for e in self._around(moment) if e.at > moment and e.starts is starts)

    def _around(self, moment: datetime) -> list[Edge]:
        today = moment.astimezone(self.zone).date()
        days = [today + timedelta(days=offset) for offset in range(-WEEK - 1, WEEK + 2)]
        stops = [Edge(self._moment(day, self.stop_at), False) for day in days]
        starts = [
            Edge(self._moment(day, self.start_at), True)
            for day in days
            if day.weekday() in self.days
        ]
        return stops + starts

    def _moment(self, day: Any, at: time) -> datetime:
        """In UTC, where edges are compared: an hour that a change of clocks repeats counts once."""
        return datetime.combine(day, at, tzinfo=self.zone).astimezone(UTC)


def checked(schedule: Any) -> dict[str, Any]:
    """Return the schedule as it is stored. Raises InvalidInput for the field `schedule`."""
    if not isinstance(schedule, Mapping):
        raise _wrong("must be an object with stop_at, start_at, days and time_zone, or {}")
    timetable = Timetable.read(schedule)
    return timetable.to_json() if timetable else {}


def _time(schedule: Mapping[str, Any], name: str) -> time:
    match = TIME.fullmatch(str(schedule.get(name, "")))
    if match is None:
        raise _wrong(f"needs {name}, a time such as 20:00")
    return time(int(match[1]), int(match[2]))


def _wrong(message: str) -> InvalidInput:
    return InvalidInput(message, field="schedule")
