"""Models as cards show them: state, replicas, how much they are called, when one answered well.

A fixed number of queries however many models there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, Count, Max, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Concat
from django.urls import reverse

from clusters.agent.protocol import ReplicaState
from labportal.accounts.models import User
from labportal.common.clock import now
from mlmodels.models import Invocation, RegisteredModel, Replica
from mlmodels.models.version import without_heavy
from mlmodels.selectors.use import GOOD, Share
from mlmodels.states import Desired, ModelState, Purpose, ReplicaWanted
from mlmodels.timetable import Timetable

RECENT = timedelta(minutes=15)
MOVING = frozenset(
    {ModelState.STARTING, ModelState.UPDATING, ModelState.STOPPING, ModelState.WAITING}
)
TROUBLE_FIRST = (
    ModelState.GIVEN_UP,
    ModelState.DEGRADED,
    ModelState.WAITING,
    ModelState.STARTING,
    ModelState.UPDATING,
    ModelState.READY,
    ModelState.STOPPING,
    ModelState.STOPPED,
)


@dataclass(frozen=True, slots=True)
class Recent:
    """The calls of the last quarter of an hour; `p95_ms` of those that were answered well."""

    calls: int = 0
    failed: int = 0
    p95_ms: float | None = None

    @property
    def per_minute(self) -> float:
        return self.calls * 60 / RECENT.total_seconds()


@dataclass(frozen=True, slots=True)
class Card:
    """`replicas`: those that serve or shall serve, whatever their version."""

    model: RegisteredModel
    replicas: Sequence[Replica]
    recent: Recent
    answered_at: datetime | None

    @property
    def current(self) -> list[Replica]:
        """The replicas of the version that should serve."""
        return [r for r in self.replicas if r.version_id == self.model.current_id]

    @property
    def ready(self) -> int:
        return sum(r.state == ReplicaState.READY for r in self.current)

    @property
    def others(self) -> list[Replica]:
        """Those of another version: on their way out, or beside it until it is ready."""
        return [r for r in self.replicas if r.version_id != self.model.current_id]

    @property
    def moves(self) -> bool:
        """Whether it is on its way to another state by itself."""
        return self.model.state in MOVING

    @property
    def url(self) -> str:
        """Its page; where it should answer and does not, the tab that says why."""
        if self.model.answers or self.model.desired == Desired.STOPPED:
            return self.model.get_absolute_url()
        return reverse("model-detail", args=[self.model.name, "health"])

    @property
    def wakes_at(self) -> datetime | None:
        """When its schedule starts it again; None where it does not sleep."""
        timetable = Timetable.read(self.model.schedule) if self.model.asleep else None
        return timetable.next(now(), starts=True) if timetable else None

    @property
    def where(self) -> list[str]:
        return sorted({r.cluster.name for r in self.replicas})


def models(user: User) -> QuerySet[RegisteredModel]:
    found = RegisteredModel.objects.visible_to(user)
    found = found.select_related("created_by", "current", "serving", "previous")
    return found.defer(*without_heavy("current", "serving", "previous"))


def cards(found: Sequence[RegisteredModel]) -> list[Card]:
    ids = [model.pk for model in found]
    replicas, answered, recent = _replicas(ids), _answered(ids), _recent(ids)
    return [Card(m, replicas[m.pk], recent.get(m.pk, Recent()), answered.get(m.pk)) for m in found]


def card_of(model: RegisteredModel) -> Card:
    return cards([model])[0]


def narrow(
    found: QuerySet[RegisteredModel], *, state: str = "", text: str = ""
) -> QuerySet[RegisteredModel]:
    """To those in a state ("": any), and with these words in name or description."""
    if state:
        found = found.filter(state=state)
    if text:
        found = found.filter(Q(name__icontains=text) | Q(description__icontains=text))
    return found


def in_order(found: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    """Annotated with `place`, a text to sort by: what needs somebody first, what is stopped last;
    within, by name.
    """
    ranks = [When(state=state, then=Value(str(i))) for i, state in enumerate(TROUBLE_FIRST)]
    place = Concat(Case(*ranks, default=Value("9")), Value(" "), "name", output_field=TextField())
    return found.annotate(place=place)


def counts(found: QuerySet[RegisteredModel]) -> dict[str, int]:
    """How many are in which state."""
    return dict(found.order_by().values_list("state").annotate(count=Count("pk")))


def _replicas(ids: Sequence[int]) -> dict[int, list[Replica]]:
    found: dict[int, list[Replica]] = defaultdict(list)
    rows = Replica.objects.filter(
        ~Q(wanted=ReplicaWanted.REMOVE),
        version__model__in=ids,
        purpose=Purpose.SERVE,
        removed_at=None,
    )
    rows = rows.select_related("version", "cluster").defer(*without_heavy("version"))
    for replica in rows:
        found[replica.version.model_id].append(replica)
    return found


def _answered(ids: Sequence[int]) -> dict[int, datetime]:
    rows = Replica.objects.filter(version__model__in=ids, purpose=Purpose.SERVE)
    last = rows.order_by().values_list("version__model").annotate(last=Max("answered_at"))
    return {model: at for model, at in last if at is not None}


def _recent(ids: Sequence[int]) -> dict[int, Recent]:
    rows = Invocation.objects.filter(model__in=ids, at__gte=now() - RECENT).order_by()
    found = rows.values("model").annotate(
        calls=Count("pk"), failed=Count("pk", filter=~GOOD), p95_ms=Share(0.95)
    )
    return {row.pop("model"): Recent(**row) for row in found}
