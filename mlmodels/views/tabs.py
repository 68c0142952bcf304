"""What each tab of a model shows, as template contexts. A fixed number of queries each."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, QueryDict

from mlmodels.forms import SettingsForm
from mlmodels.models import ContractCheck, ModelVersion, RegisteredModel, Replica
from mlmodels.selectors import logs
from mlmodels.selectors import versions as compared
from mlmodels.selectors.finding import find_version
from mlmodels.selectors.health import Health, health_of, replicas_of

MOST_EVENTS = 200
MOST_CHECKS = 10
MAX_ID = 2**63 - 1


def health(request: HttpRequest, model: RegisteredModel) -> dict[str, Any]:
    rows = replicas_of(model)
    living = [health_of(replica) for replica in rows.filter(removed_at=None)]
    focus = _focus(request.GET, living) or rows.order_by("-removed_at").first()
    log = None
    if focus is not None:
        launch, before = (
            logs.launch_asked(focus, request.GET),
            line_id(request.GET.get("before", "")),
        )
        log = logs.shown(request.user, model, focus, launch, before)
    return {"replicas": living, "focus": focus, "log": log}


def _focus(query: QueryDict, living: list[Health]) -> Replica | None:
    """The replica whose log is shown: the one that is named, else the first in trouble."""
    named = [one.replica for one in living if str(one.replica.pk) == query.get("replica")]
    troubled = [one.replica for one in living if any(s.state == "failed" for s in one.signs)]
    return next(iter([*named, *troubled, *(one.replica for one in living)]), None)


def versions(request: HttpRequest, model: RegisteredModel) -> dict[str, Any]:
    rows = compared.rows_of(model)
    shown = {row.version.number for row in rows}
    pair = [line_id(request.GET.get(name, "")) for name in ("from", "to")]
    chosen = [find_version(model, number) for number in pair if number in shown]
    before, after = chosen if len(chosen) == len(pair) else (None, None)
    return {
        "rows": rows,
        "older": max(0, model.versions.count() - len(rows)),
        "before": before,
        "after": after,
        "differences": compared.differences(before, after) if before and after else [],
    }


def contract(request: HttpRequest, model: RegisteredModel) -> dict[str, Any]:
    """The newest test of the version that ?version= names, else of the one that serves."""
    found = list(compared.versions_of(model)[: compared.MOST_VERSIONS])
    version = _version(request.GET, model, found)
    checks = ContractCheck.objects.filter(version=version).select_related("by", "replica")
    tests = list(checks[:MOST_CHECKS]) if version else []
    return {
        "version": version,
        "versions": found,
        "check": tests[0] if tests else None,
        "former": tests[1:],
        "broken": sum(not one.get("ok") for one in tests[0].checks) if tests else 0,
    }


def _version(
    query: QueryDict, model: RegisteredModel, found: list[ModelVersion]
) -> ModelVersion | None:
    number = line_id(query.get("version", ""))
    ranked = sorted(found, key=lambda v: (v.number != number, v.pk != model.current_id))
    return next(iter(ranked), None)


def timeline(request: HttpRequest, model: RegisteredModel) -> dict[str, Any]:
    events = list(model.events.select_related("version").order_by("-id")[: MOST_EVENTS + 1])
    return {"events": events[:MOST_EVENTS], "cut": len(events) > MOST_EVENTS}


def settings(request: HttpRequest, model: RegisteredModel) -> dict[str, Any]:
    return {"form": SettingsForm(initial=SettingsForm.values_of(model))}


def line_id(text: str) -> int | None:
    return min(int(text), MAX_ID) if text.isdecimal() and len(text) < 20 else None
