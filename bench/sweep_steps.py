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

BATCH = 100  # finished runs in one exchange
LINE = {"vary": "field_z", "vary_from": "0", "vary_to": "0.00999", "vary_points": "1000"}
GRID = {
    **{"vary": "field_z", "vary_from": "0", "vary_to": "0.0024", "vary_points": "25"},
    **{"vary2": "field_y", "vary2_from": "0", "vary2_to": "0.0039", "vary2_points": "40"},
}
CUBE = {
    **{"vary": "field_z", "vary_from": "0", "vary_to": "0.009", "vary_points": "10"},
    **{"vary2": "field_y", "vary2_from": "0", "vary2_to": "0.09", "vary2_points": "10"},
    **{"vary3": "rotation", "vary3_from": "0", "vary3_to": "90", "vary3_points": "10"},
}
KINDS = {"line": LINE, "grid": GRID, "cube": CUBE}
OF_RUNS = ("convergence", "dipole")
OVER_RUNS = ("energy_vs_sweep", "dipole_vs_field", "polarizability")
COLUMNS = [
    {"name": name, "label": name, "unit": "", "values": [1.0 / (i + 1) for i in range(30)]}
    for name in ("step", "energy_change", "gradient")
]
QUANTITIES = ("total_energy", "gap", "homo", "lumo", "scf_iterations", "dipole")
DIPOLES = ("dipole_x", "dipole_y", "dipole_z")


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
    kinds = {kind: _measured(client, person, axes, rounds) for kind, axes in KINDS.items()}
    found = {"kinds": kinds, "list": _timed(lambda: client.get("/calculations/"), rounds)}
    print(json.dumps({"runs": kinds["line"]["runs"], **found}))


def _measured(client: Any, person: Any, axes: dict[str, str], rounds: int) -> dict[str, Any]:
    form = _form(axes)
    preview = _timed(lambda: client.post("/calculations/preview/", form), rounds)
    calculation = _submit(form, person)
    address = f"/calculations/{calculation.pk}/"
    return {
        "runs": calculation.run_count,
        "preview": preview,
        "store": _store(calculation),
        "matrix": _timed(lambda: client.get(address), rounds),
        "results": _timed(lambda: client.get(f"{address}results/"), rounds),
        "cells": _timed(lambda: client.get(f"/api/v1{address}cells/"), rounds),
    }


def _timed(ask: Callable[[], Any], rounds: int) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    ask()
    with CaptureQueriesContext(connection) as captured:
        answer = ask()
    queries = len(captured)
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.status_code}: {answer.content[:500]!r}")
    times, processor = [], []
    for _ in range(rounds):
        began, spent = time.perf_counter(), time.process_time()
        ask()
        times.append(1000 * (time.perf_counter() - began))
        processor.append(1000 * (time.process_time() - spent))
    return {
        "queries": queries,
        "ms_p50": round(statistics.median(times), 1),
        "ms_max": round(max(times), 1),
        "cpu_ms_p50": round(statistics.median(processor), 1),
        "kilobytes": round(len(answer.content) / 1000, 1),
    }


def _form(axes: dict[str, str]) -> dict[str, Any]:
    """What a browser sends for runs side by side."""
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
    return {
        **_values_of(form),
        "software": "pyscf",
        "vary_mode": "independent",
        "analyses": [*OF_RUNS, *OVER_RUNS],
        **axes,
    }


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
    began, spent = time.perf_counter(), time.process_time()
    results.analyse(calculation.pk)
    across = calculation.analysis_results.filter(run=None)
    return {
        "seconds": round(seconds, 2),
        "queries_per_100": queries,
        "analyses_s": round(time.perf_counter() - began, 2),
        "analyses_cpu_s": round(time.process_time() - spent, 2),
        "analyses": {row.name: row.status for row in across.order_by("name")},
    }


def _report(index: int) -> dict[str, Any]:
    quantities = [
        {"name": name, "label": name, "value": -76.0 + index * 1e-4 + place, "unit": "Ha"}
        for place, name in enumerate(QUANTITIES)
    ]
    quantities += [
        {"name": name, "label": name, "value": 1e-3 * (1 + place) * index, "unit": "Debye"}
        for place, name in enumerate(DIPOLES)
    ]
    datasets = [
        {"name": name, "label": name, "kind": "series", "columns": COLUMNS}
        for name in ("scf", "convergence")
    ]
    return {
        "outcome": {"verdict": "valid", "code": "converged", "message": "SCF converged."},
        "results": {"quantities": quantities, "datasets": datasets},
        "analyses": [
            {"name": name, "version": 1, "input_sha256": "cd" * 32, "status": "computed"}
            | {"results": {"quantities": quantities[-1:], "datasets": []}}
            for name in OF_RUNS
        ],
        "files": [{"name": "pyscf.out", "size": 9000, "sha256": "ab" * 32}],
        "exit_code": 0,
        "elapsed_s": 12.0,
        "cpu_s": 11.0,
        "max_rss_mib": 220.0,
    }


if __name__ == "__main__":
    main()
