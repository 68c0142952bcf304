"""Renders pages in one process and counts their queries; started by bench.pages and bench.results
inside a stack's environment, with the pages as {name: address} in JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from typing import Any

import django


def main() -> None:
    pages, rounds = json.loads(sys.argv[1]), int(sys.argv[2])
    django.setup()
    from django.test import Client

    from labportal.accounts.models import User

    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.get(username=os.environ["BENCH_PERSON"]))
    print(json.dumps([_render(client, name, path, rounds) for name, path in pages.items()]))


def _render(client: Any, name: str, path: str, rounds: int) -> dict[str, Any]:
    from django.core.cache import cache
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    for _ in range(3):
        client.get(path)
    cache.clear()
    with CaptureQueriesContext(connection) as captured:
        response = client.get(path)
    queries = len(captured)  # now: the next request empties the log
    if response.status_code != 200:
        raise RuntimeError(f"{path}: {response.status_code}")
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        client.get(path)
        times.append(1000 * (time.perf_counter() - began))
    times.sort()
    return {
        "page": name,
        "queries": queries,
        "ms_p50": round(statistics.median(times), 1),
        "ms_p95": round(times[int(0.95 * (len(times) - 1))], 1),
        "kilobytes": round(len(response.content) / 1000, 1),
    }


if __name__ == "__main__":
    main()
