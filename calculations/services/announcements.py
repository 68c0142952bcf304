"""Who is told that a calculation has ended: its author, and the admins who asked to hear of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db import transaction

from calculations.models import Calculation
from calculations.services.following import lock_calculations
from calculations.states import TERMINAL, CalculationState
from calculations.wording import main_words
from labportal.accounts.models import User
from labportal.accounts.roles import Role
from labportal.common.clock import now
from labportal.notifications.services import Level, notify

GOOD = frozenset({CalculationState.VALID, CalculationState.CANCELLED})


def announce(calculation_ids: Sequence[int]) -> None:
    """Notify once per ending; a calculation that has not ended is left out."""
    ended = Calculation.objects.filter(
        pk__in=calculation_ids, state__in=TERMINAL, finished_at__isnull=False, announced_at=None
    )
    ended = list(ended.select_related("created_by"))
    if not ended:
        return
    admins = _admins()
    for calculation in ended:
        level = Level.INFO if calculation.state in GOOD else Level.ERROR
        word = calculation.get_state_display().lower()
        interested = interested_in(calculation, level, admins=admins)
        if not interested:
            continue
        notify(
            interested,
            level=level,
            subject=f"{calculation.number} {calculation.name}: {word}",
            body=_body(calculation, word),
            url=calculation.get_absolute_url(),
            key=f"calculation:{calculation.pk}:{calculation.finished_at:%Y%m%dT%H%M%S.%f}",
        )
    with transaction.atomic():
        rows = lock_calculations(c.pk for c in ended)
        Calculation.objects.filter(pk__in=rows).update(announced_at=now())


def _admins() -> list[User]:
    return list(User.objects.filter(role=Role.ADMIN, notify_about_all=True, is_active=True))


def interested_in(
    calculation: Calculation, level: Level, *, admins: Iterable[User] | None = None
) -> list[User]:
    """Return who wants to hear of it: its author and, of all calculations, some admins."""
    admins = _admins() if admins is None else admins
    people = {user.pk: user for user in [calculation.created_by, *admins]}.values()
    return [user for user in people if _wants(user, level)]


def _wants(person: User, level: Level) -> bool:
    return person.notification_level in (level, Level.INFO)


def unannounced(*, older_than: timedelta = timedelta(seconds=60)) -> list[int]:
    """Return what ended a while ago and was not announced, since the broker was away, say."""
    ended = Calculation.objects.filter(announced_at=None, finished_at__lt=now() - older_than)
    return list(ended.filter(state__in=TERMINAL).values_list("pk", flat=True)[:1000])


def _body(calculation: Calculation, word: str) -> str:
    lines = [f"{calculation.number} “{calculation.name}” ({calculation.software}) is {word}."]
    if calculation.reason:
        lines.append(calculation.reason)
    if calculation.state == CalculationState.VALID and calculation.main_value is not None:
        value = f"{main_words(calculation)} {calculation.main_unit}".rstrip()
        lines.append(f"{calculation.main_label}: {value}")
        lines.append("Its report is ready.")
    return "\n".join(lines)
