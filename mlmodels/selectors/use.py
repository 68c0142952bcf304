"""How a model is used: calls, how they ended and how long they took, over time and by whom.

Each function is one query, however many calls there were. Times are of good answers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Aggregate, Count, F, FloatField, Max, Q, QuerySet, Sum
from django.db.models.expressions import RawSQL

from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.common.clock import now
from mlmodels.models import Invocation, RegisteredModel

GOOD, REFUSED, FAILED = Q(status__lt=400), Q(status__gte=400, status__lt=500), Q(status__gte=500)


class Share(Aggregate):
    """The milliseconds that this share of calls stays below."""

    function = "percentile_cont"
    template = "%(function)s(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()

    def __init__(self, share: float, **extra: Any) -> None:
        super().__init__("ms", share=share, filter=GOOD, **extra)


@dataclass(frozen=True, slots=True)
class Window:
    """A time that ends now, in buckets of so many seconds."""

    since: datetime
    until: datetime
    bucket_s: int


#: Seconds of the whole and of a bucket.
SPANS: Mapping[str, tuple[int, int]] = {
    "hour": (3600, 60),
    "day": (86_400, 900),
    "week": (7 * 86_400, 3600),
    "month": (30 * 86_400, 6 * 3600),
}


@dataclass(frozen=True, slots=True)
class Use:
    """`refused`: by us or the model, for what was asked (4xx); `failed`: 5xx, ours or its."""

    calls: int = 0
    refused: int = 0
    failed: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    last_at: datetime | None = None

    @property
    def good(self) -> int:
        return self.calls - self.refused - self.failed


@dataclass(frozen=True, slots=True)
class Series:
    """One value for each bucket, `x` its beginning in seconds; times are None without an answer."""

    window: Window
    x: list[float]
    per_minute: list[float]
    refused_per_minute: list[float]
    failed_per_minute: list[float]
    p50_ms: list[float | None]
    p95_ms: list[float | None]


def window(span: str) -> Window:
    """Of a name of SPANS."""
    length, bucket = SPANS[span]
    until = now()
    begin = (until.timestamp() - length) // bucket * bucket + bucket
    return Window(datetime.fromtimestamp(begin, until.tzinfo), until, bucket)


def total(model: RegisteredModel, within: Window) -> Use:
    return Use(**_calls(model, within).aggregate(**_VALUES))


def series(model: RegisteredModel, within: Window, *, user: User | None = None) -> Series:
    """Of all calls, or of those of one person."""
    calls = _calls(model, within)
    if user is not None:
        calls = calls.filter(user=user)
    bucket = RawSQL("floor(extract(epoch FROM at) / %s) * %s", [within.bucket_s] * 2)
    rows = calls.annotate(bucket=bucket).values("bucket").annotate(**_VALUES)
    found = {float(row.pop("bucket")): Use(**row) for row in rows}
    first, last = within.since.timestamp(), within.until.timestamp()
    x = [first + i * within.bucket_s for i in range(int((last - first) // within.bucket_s) + 1)]
    uses = [found.get(at, Use()) for at in x]
    # The bucket at hand has not lasted as long as the others.
    minutes = [min(within.bucket_s, max(last - at, 1)) / 60 for at in x]
    pairs = list(zip(uses, minutes, strict=True))
    return Series(
        window=within,
        x=x,
        per_minute=[use.calls / span for use, span in pairs],
        refused_per_minute=[use.refused / span for use, span in pairs],
        failed_per_minute=[use.failed / span for use, span in pairs],
        p50_ms=[use.p50_ms for use in uses],
        p95_ms=[use.p95_ms for use in uses],
    )


def by_version(model: RegisteredModel, within: Window) -> list[tuple[int | None, Use]]:
    """(version number, use), the newest first; None: no version was reached."""
    rows = _calls(model, within).values("version__number").annotate(**_VALUES)
    ordered = rows.order_by(F("version__number").desc(nulls_last=True))
    return [(row.pop("version__number"), Use(**row)) for row in ordered]


def by_person(model: RegisteredModel, within: Window, *, viewer: User) -> list[tuple[User, Use]]:
    """Who called most first. Whoever may not see what others use sees themselves alone."""
    calls = _calls(model, within)
    if not sees_everybody(viewer, model):
        calls = calls.filter(user=viewer)
    rows = list(calls.values("user").annotate(**_VALUES).order_by("-calls", "user")[:100])
    people = User.objects.in_bulk([row["user"] for row in rows])
    return [(people[row.pop("user")], Use(**row)) for row in rows]


def by_error(model: RegisteredModel, within: Window) -> list[tuple[int, str, int]]:
    """(status, the proxy's reason or "", calls) of what was not answered well, most first."""
    rows = _calls(model, within).exclude(GOOD).values_list("status", "error")
    return list(rows.annotate(count=Count("pk")).order_by("-count", "status"))


def sees_everybody(viewer: User, model: RegisteredModel) -> bool:
    return can(viewer, Can.VIEW_USAGE) or model.created_by_id == viewer.pk


def _calls(model: RegisteredModel, within: Window) -> QuerySet[Invocation]:
    calls = Invocation.objects.filter(model=model, at__gte=within.since, at__lte=within.until)
    return calls.order_by()


_VALUES = {
    "calls": Count("pk"),
    "refused": Count("pk", filter=REFUSED),
    "failed": Count("pk", filter=FAILED),
    "p50_ms": Share(0.5),
    "p95_ms": Share(0.95),
    "bytes_in": Sum("bytes_in", default=0),
    "bytes_out": Sum("bytes_out", default=0),
    "last_at": Max("at"),
}
