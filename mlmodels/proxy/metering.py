"""Writes down what each call took: gathered in memory, stored together each second and at the end.

Rows wait while the database is away; whoever was deleted in the meantime is left out.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection

from mlmodels.proxy.pool import in_pool

log = logging.getLogger(__name__)

MOST_WAITING = 200_000
AT_ONCE = 5_000

Row = dict[str, Any]

_STORE = """
INSERT INTO mlmodels_invocation
    (model_id, version_id, replica, user_id, at, ms, status, error, bytes_in, bytes_out,
     asynchronous)
SELECT row.model, version.id, row.replica, row.person, to_timestamp(row.at), row.ms, row.status,
       row.error, row.bytes_in, row.bytes_out, row.asynchronous
FROM jsonb_to_recordset(%s::jsonb) AS row(
    model bigint, version bigint, replica uuid, person bigint, at double precision,
    ms double precision, status smallint, error text, bytes_in bigint, bytes_out bigint,
    asynchronous boolean)
JOIN mlmodels_registeredmodel AS model ON model.id = row.model
JOIN accounts_user AS person ON person.id = row.person
LEFT JOIN mlmodels_modelversion AS version ON version.id = row.version
"""


class Meter:
    def __init__(self, store: Callable[[Sequence[Row]], None]) -> None:
        self._store = store
        self._rows: list[Row] = []
        self._lock = asyncio.Lock()
        self.lost = 0

    def note(self, row: Row) -> None:
        if len(self._rows) >= MOST_WAITING:
            self.lost += 1
            return
        self._rows.append(row)

    def __len__(self) -> int:
        return len(self._rows)

    async def flush(self) -> None:
        """Store what waits. Raises what the database raises; nothing is forgotten then."""
        async with self._lock:
            while self._rows:
                batch = self._rows[:AT_ONCE]
                await in_pool(self._store, batch)
                del self._rows[: len(batch)]
        if self.lost:
            log.error("%s calls were not metered while the database was away", self.lost)
            self.lost = 0


def store(rows: Sequence[Row]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_STORE, [json.dumps(list(rows))])
