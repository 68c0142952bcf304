"""Finds predictions: by words, by what they are about, by person, version and time.

What was asked about a thing in a project of others is shown to nobody else; moderators see all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import is_naive, make_aware

from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.common.errors import InvalidInput, NotFound
from labportal.common.sending import visible_keys
from mlmodels.models import Prediction, RegisteredModel
from mlmodels.models.version import without_heavy

MOST_WORDS = 8
MOST_TEXT = 200
MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; everything may be left out. `text`: words, each of which must be in the
    input, in the answer or in the inference id.
    """

    text: str = ""
    subject: str = ""
    person: str = ""
    version: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Wanted:
        """From the query of an address. Raises InvalidInput, which names the field."""
        return cls(
            text=given.get("text", "")[:MOST_TEXT].replace("\0", ""),
            subject=given.get("subject", "")[:80].replace("\0", ""),
            person=given.get("person", "")[:150].replace("\0", ""),
            version=_number(given.get("version", "")),
            since=_time("since", given.get("since", "")),
            until=_time("until", given.get("until", "")),
        )


def search(
    viewer: User, model: RegisteredModel, wanted: Wanted | None = None
) -> QuerySet[Prediction]:
    """The newest first."""
    rows = visible(viewer, Prediction.objects.filter(model=model))
    wanted = wanted or Wanted()
    for word in wanted.text.split()[:MOST_WORDS]:
        rows = rows.filter(
            Q(input_text__icontains=word)
            | Q(output_text__icontains=word)
            | Q(inference_id__icontains=word)
        )
    exact = {
        "subject": wanted.subject,
        "user__username__iexact": wanted.person,
        "version__number": wanted.version,
        "at__gte": wanted.since,
        "at__lte": wanted.until,
    }
    rows = rows.filter(**{name: value for name, value in exact.items() if value not in ("", None)})
    return _with_names(rows).order_by("-id")


def about(viewer: User, subject: str) -> QuerySet[Prediction]:
    """Answers of all models about one thing that the viewer may see, the newest first."""
    if subject not in visible_keys(viewer, [subject]):
        return Prediction.objects.none()
    rows = Prediction.objects.filter(subject=subject, model__deleted_at=None)
    return _with_names(rows).select_related("model").order_by("-id")


def _with_names(rows: QuerySet[Prediction]) -> QuerySet[Prediction]:
    """Who asked which version, without the version's long columns."""
    return rows.select_related("version", "user").defer(*without_heavy("version"))


def find(viewer: User, model: RegisteredModel, pk: int) -> Prediction:
    """Raises NotFound, also for what the viewer may not see."""
    found = search(viewer, model).filter(pk=pk).first()
    if found is None:
        raise NotFound(f"{model.name} has no such prediction.")
    found.model = model
    return found


def visible(viewer: User, rows: QuerySet[Prediction]) -> QuerySet[Prediction]:
    if not can(viewer, Can.SIGN_IN):
        return rows.none()
    if can(viewer, Can.VIEW_ALL_PROJECTS):
        return rows
    foreign = rows.exclude(subject="").exclude(user=viewer)
    keys = set(foreign.order_by().values_list("subject", flat=True).distinct())
    hidden = keys - visible_keys(viewer, keys)
    return rows.exclude(Q(subject__in=hidden) & ~Q(user=viewer)) if hidden else rows


def _number(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or len(text) > MOST_DIGITS:
        raise InvalidInput("Give the number of a version.", field="version")
    return int(text)


def _time(field: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        found: Any = parse_datetime(text) or parse_date(text)
    except ValueError:
        found = None
    if found is None:
        raise InvalidInput("Give a time as 2026-11-21 or 2026-11-21T14:00.", field=field)
    moment = found if isinstance(found, datetime) else datetime(found.year, found.month, found.day)
    return make_aware(moment) if is_naive(moment) else moment
