"""What admins do to clusters: register, edit, delete. Pages and the API call it; what they do while
clusters work is in `operation`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from calculations.models import Attempt, Calculation, OrphanResult, Run
from calculations.signals import work_queued
from clusters.models import Cluster
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.audit.services import record
from labportal.common.errors import InvalidInput, WrongMoment
from labportal.realtime.events import publish

EDITABLE = frozenset(
    {
        "description",
        "max_runs",
        "max_runs_per_user",
        "max_runs_per_project",
        "price_core_hour",
        "price_gpu_hour",
    }
)
RESERVED_NAMES = frozenset({"new"})  # pages beside those of the clusters


def register(
    *,
    name: str,
    carrier: str = Cluster.Carrier.HTTPS,
    description: str = "",
    max_runs: int | None = None,
    actor: User,
) -> Cluster:
    """Raises InvalidInput, also where the name is taken."""
    require(actor, Can.MANAGE_CLUSTERS)
    words = {"name": name.strip(), "description": description.strip()}
    cluster = Cluster(**words, carrier=carrier, max_runs=max_runs)
    if cluster.name in RESERVED_NAMES:
        raise InvalidInput("is a name that the portal needs itself", field="name")
    check(cluster)
    try:
        with transaction.atomic():
            cluster.save()
            detail = {"max_runs": max_runs, "carrier": cluster.carrier}
            record(actor, "cluster.register", target=cluster.name, detail=detail)
    except IntegrityError:
        raise InvalidInput("There is a cluster of this name already.", field="name") from None
    tell(cluster)
    return cluster


@transaction.atomic
def edit(cluster: Cluster, *, actor: User, **values: Any) -> None:
    """Change what is given of EDITABLE. Raises InvalidInput."""
    require(actor, Can.MANAGE_CLUSTERS)
    changed = {}
    for name in EDITABLE & values.keys():
        value = values[name].strip() if isinstance(values[name], str) else values[name]
        if getattr(cluster, name) != value:
            changed[name] = [_plain(getattr(cluster, name)), _plain(value)]
            setattr(cluster, name, value)
    check(cluster)
    if changed:
        cluster.save(update_fields=list(changed))
        record(actor, "cluster.edit", target=cluster.name, detail=changed)
    tell(cluster)
    ask_for_placement()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


@transaction.atomic
def delete(cluster: Cluster, *, actor: User) -> None:
    """Take out a cluster that was never used, with keys, lines and metrics. Raises WrongMoment."""
    require(actor, Can.MANAGE_CLUSTERS)
    if was_used(cluster):
        raise WrongMoment(
            f"Calculations ran on {cluster.name}, or ask for it, and keep its name: disable it."
        )
    name = cluster.name
    try:
        cluster.delete()
    except ProtectedError:
        raise WrongMoment(
            f"Models run on {name}, or ran there, and keep its name: disable it."
        ) from None
    record(actor, "cluster.delete", target=name)


def was_used(cluster: Cluster) -> bool:
    return any(
        model.objects.filter(cluster=cluster).exists()
        for model in (Run, Calculation, Attempt, OrphanResult)
    )


def check(cluster: Cluster) -> None:
    try:
        cluster.full_clean()
    except ValidationError as error:
        errors = {name: " ".join(texts) for name, texts in error.message_dict.items()}
        raise InvalidInput(errors=errors) from None


def tell(cluster: Cluster) -> None:
    publish(f"cluster:{cluster.pk}", "cluster.changed", {"id": cluster.pk})


def ask_for_placement() -> None:
    transaction.on_commit(lambda: work_queued.send(sender=Cluster))
