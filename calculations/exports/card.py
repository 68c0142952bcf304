"""The card of a data set: what it holds, where it comes from, who made it, how it may be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from calculations.exports.columns import PROGRAM_VERSION, Column
from calculations.exports.runset import RunSet
from calculations.models import Quantity
from labportal.accounts.models import User
from labportal.common.clock import now

SCHEMA = "labportal-dataset/1"
NO_NOTE = "None was named: ask the authors before you pass it on or publish with it."
STANDINGS = {
    "validated": "Runs that ended valid, of calculations that a second person validated.",
    "checked": "Runs that ended valid, of calculations that were checked by rule or validated.",
}
MOST_AUTHORS = 200


def card(chosen: RunSet, columns: Sequence[Column], *, count: int) -> dict[str, Any]:
    """Plain values for README.json, or for the metadata of a Parquet file."""
    return {
        "schema": SCHEMA,
        "title": chosen.label(),
        "rows": count,
        "row": "one run; sorted by calculation, then by the number of the run",
        "made_at": now().isoformat(),
        "made_by": chosen.user.display_name,
        "portal": {"url": settings.PUBLIC_URL, "version": settings.VERSION},
        "filters": chosen.words,
        "understood": chosen.narrowed(),
        "where": [str(condition) for condition in chosen.conditions],
        "standing": {"asked": chosen.standing, "means": STANDINGS[chosen.standing]},
        "left_out": "What was retracted, and what rests on something that was retracted.",
        "include": list(chosen.include),
        "licence_and_citation": chosen.note or NO_NOTE,
        "authors": _authors(chosen),
        "programs": _programs(chosen),
        "columns": [column.document() for column in columns],
        "missing": "A value that a run does not have is null.",
    }


def _authors(chosen: RunSet) -> list[str]:
    keys = chosen.runs().order_by().values("calculation__created_by")
    people = User.objects.filter(pk__in=keys).order_by("pk")[:MOST_AUTHORS]
    return [person.display_name for person in people]


def _programs(chosen: RunSet) -> list[dict[str, Any]]:
    rows = chosen.runs().order_by()
    plugins = rows.values_list("calculation__software", "calculation__software_version").distinct()
    told = Quantity.objects.filter(run__in=rows, name=PROGRAM_VERSION, text__isnull=False)
    versions: dict[str, list[str]] = {}
    for name, version in sorted(set(told.values_list("calculation__software", "text").distinct())):
        versions.setdefault(name, []).append(version)
    return [
        {"software": name, "plugin_version": plugin, "versions": versions.get(name, [])}
        for name, plugin in sorted(set(plugins))
    ]
