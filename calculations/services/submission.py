"""From a draft to the queue: submit, review, and the creation of runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from calculations.models import Calculation, InputFile, LabSettings, Run
from calculations.policy import may_review, review_reason
from calculations.services import asking
from calculations.services.advance import Move, advance, advance_all
from calculations.services.drafts import clusters
from calculations.services.pseudo_families import families, missing_words
from calculations.services.sweeps import PlannedRun, needed_files, plan_of, pseudopotentials_of
from calculations.signals import work_queued
from calculations.software.registry import get_software
from calculations.states import RunState
from labportal.accounts.models import User
from labportal.audit.services import record
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotAllowed


def submit(calculation: Calculation, *, actor: User) -> None:
    submit_all([calculation], actor=actor)


@transaction.atomic
def submit_all(calculations: Sequence[Calculation], *, actor: User) -> None:
    """Submit all or none; what the rule allows is queued at once, the rest waits for a moderator.

    Raises InvalidInput (cluster, files), WrongMoment for what is no draft (a second submit, say).
    """
    settings = LabSettings.current()
    check_ready(calculations)
    moment = now()
    reasons = {c.pk: review_reason(c, settings) for c in calculations}
    advance_all(
        (
            Move(c, "submit", note=reasons[c.pk], fields={"submitted_at": moment})
            for c in calculations
        ),
        actor=actor,
    )
    approved = [c for c in calculations if not reasons[c.pk]]
    limit = settings.auto_approve_core_hours
    advance_all(
        (
            Move(
                c,
                "approve_by_rule",
                evidence=[f"at most {c.core_hours_limit:.2g} core-hours, limit {limit:g}"],
            )
            for c in approved
        ),
        actor="approval rule",
    )
    _queue(approved)


def check_ready(calculations: Sequence[Calculation]) -> None:
    """Raises InvalidInput where a cluster is disabled or lacks the software, or a needed file is
    missing.
    """
    with_files = {c.pk: needed_files(c) for c in calculations}
    present: dict[int, set[str]] = {}
    if any(with_files.values()):
        ids = [pk for pk, names in with_files.items() if names]
        for pk, name in InputFile.objects.filter(calculation__in=ids).values_list(
            "calculation_id", "name"
        ):
            present.setdefault(pk, set()).add(name)
    anywhere = list(clusters().filter(enabled=True)) if _any_cluster(calculations) else []
    for calculation in calculations:
        errors = _cluster_errors(calculation, anywhere)
        missing = [
            n for n in with_files[calculation.pk] if n not in present.get(calculation.pk, ())
        ]
        if missing:
            errors["files"] = _what_to_do(calculation, missing)
        if errors:
            raise InvalidInput(errors=errors)


def _what_to_do(calculation: Calculation, missing: Sequence[str]) -> str:
    software = get_software(calculation.software)
    needed = pseudopotentials_of(software, calculation.parameters, calculation.sweep)
    of_library = [one.name for one in needed]
    other = [name for name in missing if name not in of_library]
    words = missing_words(needed, missing, families()) if len(other) < len(missing) else []
    words += [f"{', '.join(other)} must be uploaded first"] if other else []
    return "; ".join(words)


def _any_cluster(calculations: Sequence[Calculation]) -> bool:
    return any(calculation.cluster_id is None for calculation in calculations)


def _cluster_errors(calculation: Calculation, anywhere: Sequence[Any]) -> dict[str, str]:
    cluster = calculation.cluster
    software = get_software(calculation.software)
    if cluster is None:
        words = software.unsupported(calculation.parameters, "")
        offering = [one for one in anywhere if one.offers(calculation.software)]
        words = words or asking.nobody_can(offering, calculation.resources)
        return {"cluster": words} if words else {}
    if not cluster.enabled:
        note = f" ({cluster.maintenance_note})" if cluster.maintenance_note else ""
        return {"cluster": f"{cluster.name} is disabled{note}; choose another or wait"}
    if cluster.last_exchange_at and not cluster.offers(calculation.software):
        return {"cluster": f"{cluster.name} does not have {calculation.software}; choose another"}
    version = str(cluster.software.get(calculation.software, {}).get("version") or "unknown")
    if words := software.unsupported(calculation.parameters, version):
        return {"cluster": f"{cluster.name} {words}"}
    words = asking.cluster_problem(cluster, calculation.resources)
    return {"cluster": words} if words else {}


@transaction.atomic
def approve(calculation: Calculation, *, actor: User, note: str = "") -> None:
    """Raises NotAllowed where the reviewer is the author without the right to review their own."""
    _require_reviewer(calculation, actor)
    advance(calculation, "approve", actor=actor, note=note, reason="")
    record(actor, "calculation.approve", target=calculation.number, detail={"note": note})
    _queue([calculation])


@transaction.atomic
def send_back(calculation: Calculation, *, actor: User, note: str) -> None:
    """Return the calculation to its author as a draft, with what should change."""
    _require_reviewer(calculation, actor)
    if not note.strip():
        raise InvalidInput(errors={"note": "is needed; say what should change"})
    advance(calculation, "send_back", actor=actor, note=note)
    record(actor, "calculation.send_back", target=calculation.number, detail={"note": note})


def withdraw(calculation: Calculation, *, actor: User) -> None:
    advance(calculation, "withdraw", actor=actor)


def _require_reviewer(calculation: Calculation, actor: User) -> None:
    if not may_review(actor, calculation):
        own = calculation.created_by_id == actor.pk
        raise NotAllowed(
            "Somebody else must review your own calculation."
            if own
            else "Only moderators and admins review calculations."
        )


def _queue(calculations: Sequence[Calculation]) -> None:
    """Create the runs of approved calculations and tell who places them."""
    if not calculations:
        return
    moment = now()
    runs: list[Run] = []
    for calculation in calculations:
        own: list[Run] = []
        for index, planned in enumerate(plan_of(calculation)):
            before = planned.predecessor_index
            own.append(new_run(calculation, index, planned, moment, chained=before is not None))
            own[-1].predecessor = None if before is None else own[before]
        runs += own
    Run.objects.bulk_create(runs)
    transaction.on_commit(lambda: work_queued.send(sender=Run))


def new_run(
    calculation: Calculation, index: int, planned: PlannedRun, moment: datetime, *, chained: bool
) -> Run:
    """A run that waits for the one that it continues, or is queued; the caller links and stores."""
    return Run(
        calculation=calculation,
        index=index,
        parameters=dict(planned.parameters),
        point=list(planned.point),
        priority=calculation.priority,
        state=RunState.WAITING if chained else RunState.QUEUED,
        state_since=moment,
        queued_at=None if chained else moment,
    )
