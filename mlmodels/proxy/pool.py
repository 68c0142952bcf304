"""The few threads in which the proxy talks to the database and to Redis; they keep their
connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from clusters.transports.answering import with_connection

THREADS = 4

T = TypeVar("T")

_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="proxy")


async def in_pool(function: Callable[..., T], *args: Any) -> T:
    """Run there; what the database lost on the way is tried again, so it must bear a repeat."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_pool, with_connection, function, *args)
