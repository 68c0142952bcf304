"""Single replicas: started anew, failed calls as proxies report them, the word to people when one
was given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Least

from labportal.accounts.models import User
from labportal.accounts.roles import Role
from labportal.common.clock import now
from labportal.notifications.services import Level, notify
from mlmodels.models import Replica
from mlmodels.services import events
from mlmodels.states import ReplicaWanted

FAILED_MOST = 1_000_000
FAILED_TOLD = 3  # calls in a row, then pages and timeline hear of it
TAIL = 30  # lines of its log in the e-mail

FRESH = {"state": "", "why": "", "address": "", "failed_calls": 0, "draining_at": None}


def start_anew(replica: Replica, *, why: str = "") -> None:
    """Have its agent begin again, with whatever was given up forgiven; the caller holds the model's
    lock. Until the agent says otherwise nothing is known of it.
    """
    moment = now()
    values = {
        **FRESH,
        "wanted": ReplicaWanted.SERVE,
        "wanted_at": moment,
        "wanted_why": why[:300],
        "since": moment,
    }
    Replica.objects.filter(pk=replica.pk).update(generation=F("generation") + 1, **values)
    replica.generation += 1
    for name, value in values.items():
        setattr(replica, name, value)


def report_failures(replica_id: UUID | str, failed: int, why: str = "") -> None:
    """Note how many calls in a row a proxy could not bring to a replica; 0 after a good one.

    Its agent alone judges whether it is well; this is shown, and told on the timeline.
    """
    rows = Replica.objects.filter(pk=replica_id, removed_at=None)
    before = rows.select_related("version__model").first()
    if before is None or before.failed_calls == failed:
        return
    rows.update(failed_calls=Least(max(0, failed), FAILED_MOST))
    crossed = before.failed_calls < FAILED_TOLD <= failed
    if not crossed and not (failed == 0 and before.failed_calls >= FAILED_TOLD):
        return
    model = before.version.model
    words = f"{failed} calls in a row failed: {why}" if crossed else "calls are answered again"
    with transaction.atomic():
        events.note(
            model,
            "calls_fail" if crossed else "calls_answered",
            actor="proxy",
            version=before.version,
            replica=before.pk,
            note=words.rstrip(": "),
        )
        events.tell_replica(model, before)


def announce_given_up(replica: Replica) -> None:
    """Tell the model's creator, and the admins who want to hear of all, once for each generation,
    with the log's end.
    """
    model = replica.version.model
    admins = User.objects.filter(role=Role.ADMIN, notify_about_all=True, is_active=True)
    people = {person.pk: person for person in [model.created_by, *admins]}
    notify(
        people.values(),
        level=Level.ERROR,
        subject=f"Model {model.name}: {replica.cluster.name} gave up v{replica.version.number}",
        body=_words(replica, tail_of(replica)),
        url=model.get_absolute_url(),
        key=f"given-up:{replica.pk}:{replica.generation}",
    )


def tail_of(replica: Replica) -> list[str]:
    """The last lines of its log as the agent sent them."""
    told = replica.report.get("tail")
    return [str(line) for line in told][-TAIL:] if isinstance(told, Sequence) else []


def _words(replica: Replica, tail: Sequence[str]) -> str:
    lines = [
        f"{replica.version} on {replica.cluster.name} failed too often in a row and is not started "
        "again by itself.",
        replica.why,
        exit_words(replica),
        "Its log ends:" if tail else "It wrote no log.",
        *(f"    {line}" for line in tail),
        "Restart it from its page, deploy another version, or go back to the one before.",
    ]
    return "\n".join(line for line in lines if line)


def exit_words(replica: Replica) -> str:
    """How its last launch ended."""
    told = replica.report.get("exit")
    if not isinstance(told, dict):
        return ""
    if told.get("out_of_memory"):
        return f"It filled its memory of {replica.version.memory_mib} MiB and was ended."
    if told.get("signal"):
        return f"It was ended by signal {told['signal']}."
    code = told.get("code")
    return f"It ended with exit status {code}." if code is not None else ""
