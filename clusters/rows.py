"""The statements that every exchange makes, written by hand: built by the ORM they cost more than
all the rest.

Each does what the queryset in its docstring would do; a test compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from calculations.models import Run
from calculations.states import LEASED_RUNS
from clusters.models import ApiKey, Cluster, Metrics


def _columns(model: type, alias: str) -> str:
    return ", ".join(f'{alias}."{field.column}"' for field in model._meta.concrete_fields)


def _names(model: type) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def _from_row(model: type, row: Sequence[Any]) -> Any:
    """Build the object as a queryset would: with the converters of its fields (JSON, UUID)."""
    values = [
        json.loads(value)
        if value is not None and field.get_internal_type() == "JSONField"
        else value
        for field, value in zip(model._meta.concrete_fields, row, strict=True)
    ]
    return model.from_db("default", _names(model), values)


_KEY_WITH_CLUSTER = (
    f"SELECT {_columns(ApiKey, 'k')}, {_columns(Cluster, 'c')} "  # noqa: S608
    f'FROM "{ApiKey._meta.db_table}" k JOIN "{Cluster._meta.db_table}" c ON c.id = k.cluster_id '
    "WHERE k.prefix = %s"
)


def key_with_cluster(prefix: str, *, lock: bool) -> ApiKey | None:
    """ApiKey.objects.select_related("cluster").filter(prefix=prefix), locked on wish."""
    with connection.cursor() as cursor:
        cursor.execute(_KEY_WITH_CLUSTER + (" FOR NO KEY UPDATE OF c" if lock else ""), [prefix])
        row = cursor.fetchone()
    if row is None:
        return None
    width = len(ApiKey._meta.concrete_fields)
    key = _from_row(ApiKey, row[:width])
    key.cluster = _from_row(Cluster, row[width:])
    return key


_LEASED = (
    f'SELECT id FROM "{Run._meta.db_table}" WHERE cluster_id = %s '  # noqa: S608
    f"AND state IN ({', '.join(repr(str(state)) for state in sorted(LEASED_RUNS))})"
)


def leased_run_ids(cluster: Cluster) -> set[UUID]:
    """Run.objects.filter(cluster=cluster, state__in=LEASED_RUNS).values_list("pk")."""
    with connection.cursor() as cursor:
        cursor.execute(_LEASED, [cluster.pk])
        return {row[0] for row in cursor.fetchall()}


def save(cluster: Cluster, names: Sequence[str]) -> None:
    """cluster.save(update_fields=names)."""
    fields = [cluster._meta.get_field(name) for name in names]
    sets = ", ".join(f'"{field.column}" = %s' for field in fields)
    values = [
        field.get_db_prep_save(getattr(cluster, field.attname), connection) for field in fields
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f'UPDATE "{Cluster._meta.db_table}" SET {sets} WHERE id = %s',  # noqa: S608
            [*values, cluster.pk],
        )


_METRICS = [f for f in Metrics._meta.concrete_fields if not f.primary_key]
_INSERT_METRICS = (
    f'INSERT INTO "{Metrics._meta.db_table}" '  # noqa: S608
    f"({', '.join(field.column for field in _METRICS)}) VALUES "
)
_METRICS_ROW = f"({', '.join(['%s'] * len(_METRICS))})"


def insert_metrics(rows: Sequence[Metrics]) -> None:
    """Metrics.objects.bulk_create(rows), without giving the objects their keys."""
    values = [
        field.get_db_prep_save(getattr(row, field.attname), connection)
        for row in rows
        for field in _METRICS
    ]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_METRICS + ", ".join([_METRICS_ROW] * len(rows)), values)
