"""What an agent says that it deleted, read with care and kept for good."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from calculations.models import Attempt, Run
from clusters.models import Cluster, Purge
from labportal.common.clock import now
from labportal.realtime.events import publish

MOST_NAMED = 1000
LONGEST_NAME = 300
MOST = 2**62
SHA256 = re.compile(r"[0-9a-f]{64}")


def concerned(told: Sequence[Mapping[str, Any]]) -> set[int]:
    """Return the calculations that `take` wants to be locked."""
    ids = [run_id for item in told if (run_id := _uuid(item.get("run")))]
    if not ids:
        return set()
    return set(Run.objects.filter(pk__in=ids).values_list("calculation_id", flat=True))


def take(cluster: Cluster, told: Sequence[Mapping[str, Any]]) -> None:
    """Record what was purged, each once: whoever repeats it, or says it of an order that was
    withdrawn meanwhile, changes nothing that is on record.
    """
    by_run = {run_id: item for item in told if (run_id := _uuid(item.get("run")))}
    if not by_run:
        return
    runs = Run.objects.in_bulk(by_run)
    own = set(Attempt.objects.filter(run__in=runs, cluster=cluster).values_list("run", flat=True))
    known: dict[uuid.UUID, list[Purge]] = {}
    for purge in Purge.objects.filter(cluster=cluster, run__in=runs):
        known.setdefault(purge.run_id, []).append(purge)
    for pk, run in runs.items():
        if run.cluster_id != cluster.pk and pk not in own:
            continue
        _record(cluster, run, by_run[pk], known.get(pk, []))


def _record(cluster: Cluster, run: Run, item: Mapping[str, Any], known: Sequence[Purge]) -> None:
    attempt = _number(item.get("attempt")) or run.attempt
    purge = next((p for p in known if p.done_at is None), None)
    if purge is None:
        if any(p.attempt >= attempt for p in known):
            return  # told before
        purge = Purge(cluster=cluster, run=run, attempt=attempt)
    purge.done_at = now()
    for name, value in read(item).items():
        setattr(purge, name, value)
    purge.save()
    if run.cluster_id == cluster.pk and purge.attempt >= run.attempt:
        run.purged_at, run.purge_held = purge.done_at, ""
        run.disk_bytes = purge.kept_bytes or 0
        run.save(update_fields=["purged_at", "purge_held", "disk_bytes"])
    payload = {"calculation": run.calculation_id, "run": str(run.pk), "state": run.state}
    publish(f"calculation:{run.calculation_id}", "run.changed", payload)


def read(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a tombstone; what is no number or no name is left out."""
    files = item.get("files")
    named = [f for f in files if isinstance(f, Mapping)] if isinstance(files, list) else []
    listed = [
        {
            "attempt": _number(f.get("attempt")),
            "name": str(f.get("name", "")).replace("\0", "")[:LONGEST_NAME],
            "size": _number(f.get("size")),
            "sha256": s if SHA256.fullmatch(s := str(f.get("sha256", ""))) else "",
        }
        for f in named[:MOST_NAMED]
    ]
    kept = item.get("kept_bytes")
    return {
        "files": listed,
        "file_count": min(max(_number(item.get("count")), len(listed)), 2**31 - 1),
        "file_bytes": _number(item.get("bytes")) or sum(f["size"] for f in listed),
        "freed_bytes": _number(item.get("freed_bytes")),
        "kept_bytes": None if kept is None else _number(kept),
    }


def _number(value: Any) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < MOST else 0


def _uuid(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return None
