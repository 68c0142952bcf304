"""Asks the search in one process and measures; started by bench.search inside a stack's
environment, with the sentences in JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import django

SHOWN = 7  # what the page reads of each kind


def main() -> None:
    sentences, rounds = json.loads(sys.argv[1]), int(sys.argv[2])
    django.setup()
    from labportal.accounts.models import User

    user = User.objects.get(username=os.environ["BENCH_PERSON"])
    print(json.dumps([_ask(text, user, rounds) for text in sentences]))


def _ask(text: str, user: Any, rounds: int) -> dict[str, Any]:
    from calculations.search import groups, parse

    query = parse(text, user=user)
    found = [
        {
            "kind": kind,
            "found": str(groups.count(kind, query, user)),
            "rows_ms": _median(
                rounds, lambda kind=kind: list(groups.rows_of(kind, query, user)[:SHOWN])
            ),
            "count_ms": _median(rounds, lambda kind=kind: groups.count(kind, query, user)),
        }
        for kind in groups.KINDS
    ]
    return {"sentence": text, "groups": found}


def _median(rounds: int, ask: Callable[[], Any]) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        times.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(times), 1)


if __name__ == "__main__":
    main()
