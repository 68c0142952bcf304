"""Metered calls: kept longer than any statistics looks back, and not for ever."""

from __future__ import annotations

from datetime import timedelta

from labportal.common.clock import now
from mlmodels.models import Invocation

KEPT = timedelta(days=400)
FORGOTTEN_AT_ONCE = 10_000


def forget_old() -> int:
    """Delete calls that were long ago, the oldest first; return how many.

    By number, in whose order they were written: by time alone there is no index.
    """
    limit, count = now() - KEPT, 0
    oldest = Invocation.objects.order_by("pk").values_list("pk", "at")
    while old := [pk for pk, at in oldest[:FORGOTTEN_AT_ONCE] if at < limit]:
        count += Invocation.objects.filter(pk__in=old).delete()[0]
    return count
