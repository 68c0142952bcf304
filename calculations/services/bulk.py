"""One verb for many calculations, and the way back where there is one.

What cannot be done to one stops nothing for the others. The way back is a signed token that lives
for minutes and is the person's own; it changes only what still is as the verb has left it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.db import transaction

from calculations.models import Calculation
from calculations.selectors import deleted_drafts
from calculations.services import drafts, keeping, lifecycle, standing, submission
from calculations.states import CalculationState
from labportal.accounts.models import User
from labportal.common.errors import DomainError, InvalidInput, WrongMoment

MOST = 1000
UNDO_SECONDS = 600
SALT = "calculations.undo"


@dataclass(frozen=True, slots=True)
class Verb:
    """`act` returns what the way back needs to know (JSON), `undo` takes it; None: no way back."""

    done: str
    act: Callable[[Calculation, User, Any], Any]
    undo: Callable[[Calculation, User, Any], None] | None = None
    undone: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """How many were done, each problem in words, and the token of the way back ("": none)."""

    done: int
    words: str
    problems: list[str]
    undo: str = ""


def _delete(calculation: Calculation, actor: User, _: Any) -> bool:
    drafts.delete(calculation, actor=actor)
    return True


def _submit(calculation: Calculation, actor: User, _: Any) -> bool:
    submission.submit(calculation, actor=actor)
    return calculation.state == CalculationState.IN_REVIEW


def _withdraw(calculation: Calculation, actor: User, was_waiting: bool) -> None:
    if not was_waiting:
        raise WrongMoment(f"{calculation.number} is in the queue already; cancel it instead.")
    submission.withdraw(calculation, actor=actor)


def _keeper(keep: bool) -> Callable[[Calculation, User, Any], bool]:
    def act(calculation: Calculation, actor: User, _: Any) -> bool:
        before = calculation.keep_files
        keeping.keep_files(calculation, keep=keep, actor=actor)
        return before

    return act


def _keep_as_before(calculation: Calculation, actor: User, before: bool) -> None:
    keeping.keep_files(calculation, keep=before, actor=actor)


def _prioritise(calculation: Calculation, actor: User, priority: Any) -> list[int]:
    try:
        wanted = int(str(priority).replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        raise InvalidInput("The priority must be a whole number from -100 to 100.") from None
    before = calculation.priority
    lifecycle.set_priority(calculation, wanted, actor=actor)
    return [before, wanted]


@transaction.atomic
def _prioritise_as_before(calculation: Calculation, actor: User, change: list[int]) -> None:
    before, after = change
    lifecycle.lock(calculation)
    if calculation.priority != after:
        raise WrongMoment(f"{calculation.number} was given another priority meanwhile.")
    lifecycle.set_priority(calculation, before, actor=actor)


VERBS: dict[str, Verb] = {
    "submit": Verb("submitted", _submit, _withdraw, "withdrawn"),
    "withdraw": Verb("withdrawn", lambda c, user, _: submission.withdraw(c, actor=user)),
    "cancel": Verb("cancelled", lambda c, user, _: lifecycle.cancel(c, actor=user)),
    "retry": Verb("queued again", lambda c, user, _: lifecycle.retry(c, actor=user)),
    "validate": Verb("validated", lambda c, user, _: standing.validate(c, actor=user)),
    "keep": Verb("keep their raw files", _keeper(True), _keep_as_before, "as before"),
    "let_go": Verb("let their raw files go", _keeper(False), _keep_as_before, "as before"),
    "priority": Verb("have their priority", _prioritise, _prioritise_as_before, "as before"),
    "delete": Verb(
        "moved to the bin",
        _delete,
        lambda c, user, _: drafts.restore(c, actor=user),
        "back from the bin",
    ),
}


def do(verb: str, ids: Iterable[int], *, actor: User, value: Any = None) -> Told:
    """Do a verb of VERBS to each calculation that `actor` sees. Raises InvalidInput for no verb."""
    if verb not in VERBS:
        raise InvalidInput(
            f"{verb!r:.40} is no verb here; known are {', '.join(VERBS)}", field="verb"
        )
    chosen = list(dict.fromkeys(ids))[:MOST]
    rows = Calculation.objects.visible_to(actor).filter(pk__in=chosen)
    kept: dict[int, Any] = {}
    problems = _each(rows, lambda c: kept.__setitem__(c.pk, VERBS[verb].act(c, actor, value)))
    return told(verb, kept, problems, actor=actor)


def told(verb: str, kept: dict[int, Any], problems: Iterable[str] = (), *, actor: User) -> Told:
    """Say what was done, with the way back; `kept` is what `act` returned for each."""
    worth = dict(kept) if VERBS[verb].undo else {}
    if verb == "submit":  # what was queued at once cannot be withdrawn: nothing is promised for it
        worth = {pk: waits for pk, waits in kept.items() if waits}
    token = ""
    if worth:
        token = signing.dumps([actor.pk, verb, list(worth.items())], salt=SALT, compress=True)
    return Told(len(kept), VERBS[verb].done, list(problems), token)


def undo(token: str, *, actor: User) -> Told:
    """Take back what `do` did. Raises InvalidInput for a token that is foreign or too old."""
    try:
        person, verb, kept = signing.loads(token, salt=SALT, max_age=UNDO_SECONDS)
    except signing.BadSignature:
        minutes = UNDO_SECONDS // 60
        raise InvalidInput(f"This can be taken back for {minutes} minutes only.") from None
    if person != actor.pk:
        raise InvalidInput("Only the person who did it takes it back.")
    back, known = VERBS[verb], dict(kept)
    found = deleted_drafts(actor) if verb == "delete" else Calculation.objects.visible_to(actor)
    done: list[int] = []

    def act(calculation: Calculation) -> None:
        back.undo(calculation, actor, known[calculation.pk])
        done.append(calculation.pk)

    problems = _each(found.filter(pk__in=known), act)
    return Told(len(done), back.undone, problems)


def _each(rows: Iterable[Calculation], act: Callable[[Calculation], Any]) -> list[str]:
    problems = []
    for calculation in rows:
        try:
            with transaction.atomic():
                act(calculation)
        except DomainError as error:
            problems.append(f"{calculation.number}: {error.message}")
    return problems
