"""The steps of bench.sweep, started by it inside a stack's environment; prints their figures."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django

SIDE = 10
BATCH = 100  # finished runs in one exchange
AXES = {
    "vary": "field_z",
    "vary2": "field_y",
    "vary3": "rotation",
    **{f"{name}_from": "0" for name in ("vary", "vary2", "vary3")},
    **{f"{name}_points": str(SIDE) for name in ("vary", "vary2", "vary3")},
    "vary_to": "0.009",
    "vary2_to": "0.09",
    "vary3_to": "90",
    "vary_mode": "independent",
}
COLUMNS = [
    {"name": name, "label": name, "unit": "", "values": [1.0 / (i + 1) for i in range(30)]}
    for name in ("step", "energy_change", "gradient")
]
QUANTITIES = ("total_energy", "gap", "homo", "lumo", "dipole", "dipole_z", "scf_iterations")


def main() -> None:
    rounds = int(sys.argv[1])
    django.setup()
    from django.test import Client

    from calculations.models import LabSettings
    from labportal.accounts.models import User

    person = User.objects.get(username=os.environ["BENCH_PERSON"])
    client = Client(SERVER_NAME="localhost")
    client.force_login(person)
    LabSettings.objects.update_or_create(
        pk=LabSettings.current().pk, defaults={"auto_approve_core_hours": 1e6}
    )
    form = _form(client)
    preview = _timed(lambda: client.post("/calculations/preview/", form), rounds)
    calculation = _submit(form, person)
    store = _store(calculation)
    address = f"/calculations/{calculation.pk}/"
    found = {
        "runs": calculation.run_count,
        "preview": preview,
        "store": store,
        "matrix": _timed(lambda: client.get(address), rounds),
        "results": _timed(lambda: client.get(f"{address}results/"), rounds),
        "list": _timed(lambda: client.get("/calculations/"), rounds),
        "cells": _timed(lambda: client.get(f"/api/v1{address}cells/"), rounds),
    }
    print(json.dumps(found))


def _timed(ask: Callable[[], Any], rounds: int) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    ask()
    with CaptureQueriesContext(connection) as captured:
        answer = ask()
    queries = len(captured)
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.status_code}: {answer.content[:500]!r}")
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        times.append(1000 * (time.perf_counter() - began))
    return {
        "queries": queries,
        "ms_p50": round(statistics.median(times), 1),
        "ms_max": round(max(times), 1),
        "kilobytes": round(len(answer.content) / 1000, 1),
    }


def _form(client: Any) -> dict[str, Any]:
    """What a browser sends for a grid of three axes."""
    from calculations.forms import DraftForm
    from calculations.software.registry import get_software
    from calculations.views.draft import _values_of
    from labportal.accounts.models import Project, User

    person = User.objects.get(username=os.environ["BENCH_PERSON"])
    form = DraftForm(
        software=get_software("pyscf"),
        user=person,
        initial={"project": Project.objects.get(is_default=True), "name": "A thousand runs"},
    )
    return {**_values_of(form), "software": "pyscf", **AXES}


def _submit(form: dict[str, Any], person: Any) -> Any:
    from calculations.forms import DraftForm
    from calculations.services import drafts, submission
    from calculations.software.registry import get_software

    bound = DraftForm(form, software=get_software("pyscf"), user=person)
    if not bound.is_valid():
        raise RuntimeError(str(bound.errors))
    calculation = drafts.create(bound.spec(), actor=person)
    submission.submit(calculation, actor=person)
    return calculation


def _store(calculation: Any) -> dict[str, Any]:
    """Hand all runs out, then take their results as exchanges bring them."""
    from django.db import connection, transaction
    from django.test.utils import CaptureQueriesContext

    from calculations.models import Run
    from calculations.services import execution, results
    from clusters.models import Cluster
    from labportal.common.clock import now

    cluster = Cluster.objects.order_by("pk").first()
    with transaction.atomic():
        rows = Run.objects.select_for_update(of=("self",)).select_related("calculation")
        runs = list(rows.filter(calculation=calculation).order_by("index"))
        expires = now() + timedelta(hours=1)
        execution.assign([(run, cluster) for run in runs], expires_at=expires)
    began = time.perf_counter()
    queries = 0
    for first in range(0, len(runs), BATCH):
        with CaptureQueriesContext(connection) as captured, transaction.atomic():
            keys = [run.pk for run in runs[first : first + BATCH]]
            own = Run.objects.select_for_update(of=("self",)).filter(pk__in=keys)
            pairs = [(run, _report(run.index)) for run in own.order_by("pk")]
            execution.accept(pairs, agent="agent bench")
        queries = max(queries, len(captured))
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    results.analyse(calculation.pk)
    return {
        "seconds": round(seconds, 2),
        "queries_per_100": queries,
        "analyses_s": round(time.perf_counter() - began, 2),
    }


def _report(index: int) -> dict[str, Any]:
    quantities = [
        {"name": name, "label": name, "value": -76.0 + index * 1e-4 + place, "unit": "Ha"}
        for place, name in enumerate(QUANTITIES)
    ]
    datasets = [
        {"name": name, "label": name, "kind": "series", "columns": COLUMNS}
        for name in ("scf", "convergence")
    ]
    return {
        "outcome": {"verdict": "valid", "code": "converged", "message": "SCF converged."},
        "results": {"quantities": quantities, "datasets": datasets},
        "analyses": [],
        "files": [{"name": "pyscf.out", "size": 9000, "sha256": "ab" * 32}],
        "exit_code": 0,
        "elapsed_s": 12.0,
        "cpu_s": 11.0,
        "max_rss_mib": 220.0,
    }


if __name__ == "__main__":
    main()
