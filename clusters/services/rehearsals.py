"""The portal's side of a rehearsal: a throw-away person, project and clusters; what came of the
runs; and their end, after which nothing is left but the audit trail.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import Count

from calculations.models import Attempt, OrphanResult, Run
from calculations.services import rehearsals
from calculations.states import TERMINAL_RUNS, RunState
from clusters import keys
from clusters.models import Cluster
from clusters.services import clusters, operation
from labportal.accounts.models import Level, Project, User
from labportal.accounts.roles import Can, Role, require
from labportal.accounts.services import projects, users
from labportal.audit.services import record
from labportal.common.errors import DomainError, WrongMoment

PREFIX = "rehearsal-"
LOCK = 0x7265_6865  # of PostgreSQL's advisory locks, this portal's own


@dataclass
class Stage:
    """What a rehearsal has made in the portal; `keys` by the name of the cluster."""

    name: str
    person: User
    project: Project
    clusters: list[Cluster] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """What stands at one cluster; `lost` counts attempts that were given up and tried again."""

    queued: int
    assigned: int
    running: int
    valid: int
    failed: int
    lost: int
    orphans: int
    state: str

    @property
    def open(self) -> int:
        return self.queued + self.assigned + self.running


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold what only one rehearsal of a portal can hold. Raises WrongMoment."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            raise WrongMoment("Another rehearsal is under way; wait for its end.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def open_stage(names: Sequence[str], *, actor: User) -> Stage:
    """Make person, project and clusters; `actor` is an admin. Undone by `close_stage`."""
    require(actor, Can.MANAGE_CLUSTERS)
    mark = secrets.token_hex(3)
    person = users.create(
        username=f"{PREFIX}{mark}",
        password=secrets.token_urlsafe(24),
        role=Role.ADMIN,
        first_name="Rehearsal",
        actor=actor,
    )
    person.notification_level = Level.NONE
    person.save(update_fields=["notification_level"])
    project = projects.create(
        name=f"Rehearsal {mark}",
        description="Goes away by itself when the rehearsal is over.",
        private=True,
        actor=person,
    )
    stage = Stage(f"{PREFIX}{mark}", person, project)
    record(actor, "rehearsal.begin", target=stage.name, detail={"sites": list(names)})
    try:
        for name in names:
            cluster = clusters.register(
                name=f"{stage.name}-{name}",
                description="A site that is none, of a rehearsal; goes away by itself.",
                actor=actor,
            )
            stage.clusters.append(cluster)
            stage.keys[cluster.name] = keys.issue(cluster, actor=actor, days=1)[1]
    except DomainError:
        close_stage(stage, actor=actor)
        raise
    return stage


def submit(stage: Stage, *, runs: int, seconds: float) -> None:
    """Share the runs out over the clusters, each of which has been heard."""
    count = len(stage.clusters)
    for number, cluster in enumerate(stage.clusters):
        share = runs // count + (number < runs % count)
        if share:
            rehearsals.submit(
                stage.project, cluster, runs=share, seconds=seconds, actor=stage.person
            )


def standing(stage: Stage) -> dict[str, Row]:
    """What stands at each cluster now, in few queries."""
    runs = Run.objects.filter(calculation__project=stage.project)
    by_state: dict[tuple[int, str], int] = {
        (row["calculation__cluster"], row["state"]): row["count"]
        for row in runs.values("calculation__cluster", "state").annotate(count=Count("id"))
    }
    lost = _counts(Attempt.objects.filter(ending=Attempt.Ending.LOST), stage)
    orphans = _counts(OrphanResult.objects.all(), stage)
    found = {}
    for cluster in Cluster.objects.filter(pk__in=[cluster.pk for cluster in stage.clusters]):

        def count(*states: str, key: int = cluster.pk) -> int:
            return sum(by_state.get((key, state), 0) for state in states)

        found[cluster.name] = Row(
            queued=count(RunState.WAITING, RunState.QUEUED),
            assigned=count(RunState.ASSIGNED),
            running=count(RunState.RUNNING),
            valid=count(RunState.VALID),
            failed=count(*(TERMINAL_RUNS - {RunState.VALID})),
            lost=lost.get(cluster.pk, 0),
            orphans=orphans.get(cluster.pk, 0),
            state=cluster.why_not() or "works",
        )
    return found


def _counts(rows: object, stage: Stage) -> dict[int, int]:
    chosen = rows.filter(run__calculation__project=stage.project)  # type: ignore[attr-defined]
    named = chosen.values("run__calculation__cluster").annotate(count=Count("id"))
    return {row["run__calculation__cluster"]: row["count"] for row in named}


def heard(stage: Stage) -> list[str]:
    """The clusters whose agents have told that they have the rehearsal's program."""
    rows = Cluster.objects.filter(pk__in=[cluster.pk for cluster in stage.clusters])
    return [cluster.name for cluster in rows if cluster.offers(rehearsals.PROGRAM)]


def let_in_again(stage: Stage, *, actor: User) -> None:
    """As an admin would, after the circuit breaker held a cluster."""
    keys_of = [cluster.pk for cluster in stage.clusters]
    for cluster in Cluster.objects.filter(pk__in=keys_of, held_at__isnull=False):
        operation.release(cluster, actor=actor)


def close_stage(stage: Stage, *, actor: User) -> None:
    """Delete all that the rehearsal has made. Doing it again does no harm."""
    require(actor, Can.MANAGE_CLUSTERS)
    if Project.objects.filter(pk=stage.project.pk).exists():
        rehearsals.remove(stage.project, actor=actor)
        projects.delete(stage.project, actor=actor)
    for cluster in Cluster.objects.filter(pk__in=[cluster.pk for cluster in stage.clusters]):
        clusters.delete(cluster, actor=actor)
    if User.objects.filter(pk=stage.person.pk).exists():
        users.delete(stage.person, actor=actor)
    record(actor, "rehearsal.end", target=stage.name)


def left_over(*, actor: User) -> list[str]:
    """Close the stages of rehearsals that were killed; return their names."""
    names = []
    for person in User.objects.filter(username__startswith=PREFIX):
        project = Project.objects.filter(
            name=f"Rehearsal {person.username.removeprefix(PREFIX)}", private=True
        ).first()
        if project is None:
            raise WrongMoment(f"{person.username} is no person of a rehearsal; rename the account.")
        stage = Stage(person.username, person, project)
        stage.clusters = list(Cluster.objects.filter(name__startswith=f"{person.username}-"))
        close_stage(stage, actor=actor)
        names.append(stage.name)
    return names
