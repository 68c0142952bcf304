"""What fills the disks: raw files on the clusters and files in the portal's store, by cluster,
project and person; what the rule of retention frees, and when. A fixed number of queries each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from calculations.models import Calculation, Export, InputFile, LabSettings, OutputFile, Run
from calculations.policy import may_purge
from clusters.models import Cluster, Purge
from clusters.retention import with_raw_files
from labportal.accounts.models import Project, User
from labportal.common.clock import now
from labportal.common.templatetags.labportal import file_size

SOON, MONTH = timedelta(days=7), timedelta(days=30)
MOST = 15
MOST_TOMBSTONES = 30


@dataclass(slots=True)
class Share:
    """One row of a table: what a cluster, project or person takes."""

    name: str
    address: str = ""
    on_clusters: int = 0
    runs: int = 0
    in_store: int = 0
    soon: int = 0  # of `on_clusters`, freed within SOON
    month: int = 0  # of `on_clusters`, freed within MONTH
    kept: int = 0  # of `on_clusters`, flagged to be kept
    disk_free: int | None = None

    @property
    def total(self) -> int:
        return self.on_clusters + self.in_store

    @property
    def disk(self) -> int | None:
        """What a cluster's raw files and its free disk are together."""
        return None if self.disk_free is None else self.on_clusters + self.disk_free


@dataclass(frozen=True, slots=True)
class Overview:
    clusters: list[Share]
    projects: list[Share]
    people: list[Share]
    largest: list[Calculation]  # each with `bytes`, `due_at` and `held`
    held: list[Run]
    held_count: int
    freed_lately: int
    retention_days: int
    totals: Share = field(default_factory=lambda: Share("all"))

    @property
    def most(self) -> Mapping[str, int]:
        """The largest of each table, by which its bars are drawn."""
        return {
            "clusters": max((row.total for row in self.clusters), default=0),
            "projects": max((row.total for row in self.projects), default=0),
            "people": max((row.total for row in self.people), default=0),
        }


def overview() -> Overview:
    """For those who may see everything."""
    runs = Run.objects.filter(disk_bytes__gt=0)
    clusters = _shares(runs, "cluster__name", "cluster__name")
    for cluster in Cluster.objects.all():
        share = clusters.setdefault(cluster.name, Share(cluster.name, cluster.name))
        free = cluster.capacity.get("disk_free_mib")
        share.disk_free = int(free) * 2**20 if isinstance(free, (int, float)) else None
    projects = _shares(runs, "calculation__project__name", "calculation__project__slug")
    people = _shares(runs, "calculation__created_by__username", "calculation__created_by__username")
    _add_stored(projects, people)
    for person in User.objects.filter(username__in=people):
        people[person.username].name = person.display_name
    held = Run.objects.exclude(purge_held="").select_related("calculation").order_by("-pk")
    lately = Purge.objects.filter(done_at__gt=now() - timedelta(days=30))
    found = Overview(
        clusters=_sorted(clusters),
        projects=_sorted(projects),
        people=_sorted(people),
        largest=largest(runs),
        held=list(held[:MOST]),
        held_count=held.count(),
        freed_lately=lately.aggregate(sum=Sum("freed_bytes"))["sum"] or 0,
        retention_days=LabSettings.current().retention_days,
    )
    for share in found.clusters:
        found.totals.on_clusters += share.on_clusters
        found.totals.runs += share.runs
        found.totals.soon += share.soon
        found.totals.month += share.month
        found.totals.kept += share.kept
    found.totals.in_store = sum(share.in_store for share in found.people)
    return found


def _shares(runs: QuerySet[Run], name: str, address: str) -> dict[str, Share]:
    """Sum what runs take by one of their fields, with what is due soon and what is kept."""
    found: dict[str, Share] = {}
    grouped = runs.order_by().values(key=F(address), shown=F(name))
    kept = Q(calculation__keep_files=True)
    for row in grouped.annotate(
        bytes=Sum("disk_bytes"), runs=Count("pk"), kept=Coalesce(Sum("disk_bytes", filter=kept), 0)
    ):
        found[row["key"]] = Share(
            row["shown"], row["key"], row["bytes"], row["runs"], kept=row["kept"]
        )
    due = with_raw_files().filter(due_at__lt=now() + MONTH, calculation__keep_files=False)
    soon = Sum("disk_bytes", filter=Q(due_at__lt=now() + SOON))
    grouped = due.order_by().values(key=F(address))
    for row in grouped.annotate(soon=soon, month=Sum("disk_bytes")):
        if row["key"] in found:
            found[row["key"]].soon = row["soon"] or 0
            found[row["key"]].month = row["month"] or 0
    return found


def _add_stored(projects: dict[str, Share], people: dict[str, Share]) -> None:
    """Add what the portal's own store holds for calculations and, by person, exports."""
    for model, path in ((InputFile, "calculation__"), (OutputFile, "run__calculation__")):
        rows = (
            model.objects.order_by()
            .values(
                slug=F(f"{path}project__slug"),
                project=F(f"{path}project__name"),
                person=F(f"{path}created_by__username"),
            )
            .annotate(bytes=Sum("size"))
        )
        for row in rows:
            share = projects.setdefault(row["slug"], Share(row["project"], row["slug"]))
            share.in_store += row["bytes"]
            share = people.setdefault(row["person"], Share(row["person"], row["person"]))
            share.in_store += row["bytes"]
    exports = Export.objects.order_by().values("user__username").annotate(bytes=Sum("size"))
    for row in exports:
        name = row["user__username"]
        people.setdefault(name, Share(name, name)).in_store += row["bytes"] or 0


def _sorted(shares: Mapping[str, Share]) -> list[Share]:
    return sorted(shares.values(), key=lambda share: (-share.total, share.name))


def largest(runs: QuerySet[Run], most: int = MOST) -> list[Calculation]:
    """The calculations whose raw files take most, with when these go and what holds them."""
    top = list(
        runs.order_by()
        .values("calculation")
        .annotate(bytes=Sum("disk_bytes"), held=Min("purge_held", filter=~Q(purge_held="")))
        .order_by("-bytes")[:most]
    )
    ids = [row["calculation"] for row in top]
    rows = Calculation.objects.select_related("project", "created_by").in_bulk(ids)
    due = dict(
        with_raw_files()
        .filter(calculation__in=ids)
        .order_by()
        .values_list("calculation_id")
        .annotate(Min("due_at"))
    )
    found = []
    for row in top:
        calculation = rows[row["calculation"]]
        calculation.bytes, calculation.held = row["bytes"], row["held"] or ""
        calculation.due_at = due.get(calculation.pk)
        found.append(calculation)
    return found


def of_cluster(cluster: Cluster) -> dict[str, Any]:
    """What raw files take on one cluster, in few words."""
    runs = Run.objects.filter(disk_bytes__gt=0, cluster=cluster)
    return _card(runs)


def of_project(project: Project) -> dict[str, Any]:
    """With how long its raw files stay, and what the portal keeps of it."""
    card = _card(Run.objects.filter(disk_bytes__gt=0, calculation__project=project))
    stored = {"calculation__project": project}
    card["in_store"] = _size(InputFile.objects.filter(**stored)) + _size(
        OutputFile.objects.filter(run__calculation__project=project)
    )
    days = project.retention_days
    card["days"] = LabSettings.current().retention_days if days is None else days
    card["own_rule"] = days is not None
    return card


def of_person(user: User) -> dict[str, Any]:
    card = _card(Run.objects.filter(disk_bytes__gt=0, calculation__created_by=user))
    card["in_store"] = (
        _size(InputFile.objects.filter(calculation__created_by=user))
        + _size(OutputFile.objects.filter(run__calculation__created_by=user))
        + _size(Export.objects.filter(user=user))
    )
    return card


def _size(files: QuerySet[Any]) -> int:
    return files.aggregate(sum=Sum("size"))["sum"] or 0


def _card(runs: QuerySet[Run]) -> dict[str, Any]:
    ids = runs.values("pk")
    sums = runs.aggregate(
        bytes=Sum("disk_bytes"),
        runs=Count("pk"),
        kept=Sum("disk_bytes", filter=Q(calculation__keep_files=True)),
        held=Count("pk", filter=~Q(purge_held="")),
    )
    due = with_raw_files().filter(
        pk__in=ids, due_at__lt=now() + SOON, calculation__keep_files=False
    )
    soon = due.aggregate(sum=Sum("disk_bytes"))["sum"]
    return {name: value or 0 for name, value in sums.items()} | {"soon": soon or 0}


@dataclass(frozen=True, slots=True)
class RawFiles:
    """The raw files of one calculation: what is there, until when, and what was deleted."""

    bytes: int
    measured: int  # runs whose size is known
    there: int  # runs with files on a cluster
    due_at: datetime | None
    ordered: int
    held: Sequence[Run]
    tombstones: Sequence[Purge]
    more: int  # tombstones that are not shown
    may_decide: bool
    may_purge: bool

    @property
    def words(self) -> str:
        """What it means to delete them now."""
        size = f"{file_size(self.bytes)} " if self.bytes else ""
        return (
            f"{size}on the cluster go for good, for {self.there} run"
            f"{'s' if self.there != 1 else ''}. What was extracted stays, and is verified first. A "
            "list of the deleted files with sizes and checksums remains."
        )


def raw_files(calculation: Calculation, user: User) -> RawFiles:
    runs = list(with_raw_files().filter(calculation=calculation).order_by("index"))
    active = Run.objects.filter(calculation=calculation, disk_bytes__gt=0, purged_at=None)
    sums = active.aggregate(bytes=Sum("disk_bytes"), measured=Count("pk"))
    orders = list(
        Purge.objects.filter(run__calculation=calculation)
        .select_related("run", "cluster", "wanted_by")
        .order_by("run__index", "pk")
    )
    pending = [order for order in orders if order.done_at is None]
    done = [order for order in orders if order.done_at is not None]
    decide = may_purge(user, calculation)
    waiting = {order.run_id for order in pending}
    return RawFiles(
        bytes=sums["bytes"] or 0,
        measured=sums["measured"],
        there=len(runs),
        due_at=min((run.due_at for run in runs), default=None),
        ordered=len(waiting),
        held=[run for run in runs if run.purge_held],
        tombstones=done[:MOST_TOMBSTONES],
        more=max(0, len(done) - MOST_TOMBSTONES),
        may_decide=decide,
        may_purge=decide
        and not calculation.keep_files
        and any(run.pk not in waiting for run in runs),
    )
