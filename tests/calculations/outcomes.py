"""Lets runs of SIESTA end in tests, by the reports that an agent would send."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from typing import Any

from django.db import transaction

from calculations.models import Calculation, Run
from calculations.services import drafts, execution, results, submission
from labportal.accounts.models import User
from labportal.common.clock import now
from tests.calculations.factories import draft
from tests.clusters.factories import finished

SWEEP = {"parameter": "field_y", "from": 0, "to": 0.2, "points": 3, "mode": "chain"}


def water(actor: User, **wishes: Any) -> Calculation:
    """A queued calculation of SIESTA with its pseudopotentials."""
    made = draft(actor, **{"software": "siesta", "name": "Water in a field", **wishes})
    for name in ("O.psf", "H.psf"):
        drafts.attach(made, name, BytesIO(b"pseudo"), actor=actor)
    submission.submit(made, actor=actor)
    return made


@transaction.atomic
def begin(run: Run, cluster: Any, progress: Any = None) -> Run:
    run = Run.objects.select_for_update(of=("self",)).select_related("calculation").get(pk=run.pk)
    execution.assign([(run, cluster)], expires_at=now() + timedelta(minutes=5))
    told = {"state": "running", "scheduler_id": "31204", "progress": progress}
    execution.record_running([run], {run.pk: told}, agent="agent metis")
    return run


@transaction.atomic
def end(run: Run, energy: float, dipole: float, verdict: str = "valid") -> None:
    execution.accept([(run, {**finished(verdict), **_found(energy, dipole)})], agent="agent metis")


def states_of(calculation: Calculation) -> list[str]:
    return list(calculation.runs.order_by("index").values_list("state", flat=True))


@transaction.atomic
def end_runs(calculation: Calculation, cluster: Any, verdicts: dict[int, str]) -> None:
    """Let queued runs, by their numbers, be handed out and end so."""
    rows = Run.objects.select_for_update(of=("self",)).select_related("calculation")
    runs = list(rows.filter(calculation=calculation, index__in=[n - 1 for n in verdicts]))
    execution.assign([(run, cluster) for run in runs], expires_at=now() + timedelta(minutes=5))
    reports = [(run, finished(verdicts[run.index + 1])) for run in runs]
    execution.accept(reports, agent="agent metis")
    calculation.refresh_from_db()


def run_through(calculation: Calculation, cluster: Any) -> None:
    """Let every run end well, one after the other, and compute what looks at all of them."""
    for position, run in enumerate(calculation.runs.order_by("index")):
        end(begin(run, cluster), -465.8 - 0.03 * position, 1.394 + 0.032 * position)
    results.analyse(calculation.pk)
    calculation.refresh_from_db()


def _found(energy: float, dipole: float) -> dict[str, Any]:
    def quantity(name: str, value: Any, unit: str) -> dict[str, Any]:
        return {"name": name, "label": name.capitalize(), "value": value, "unit": unit}

    def column(name: str, values: list[Any]) -> dict[str, Any]:
        return {"name": name, "label": name, "unit": "", "values": values}

    scf = [column("step", [1, 2, 3]), column("density_change", [0.5, 0.01, 0.0001])]
    return {
        "results": {
            "quantities": [
                quantity("total_energy", energy, "eV"),
                quantity("dipole_y", dipole, "Debye"),
                quantity("converged", True, ""),
            ],
            "datasets": [{"name": "scf", "label": "SCF", "kind": "series", "columns": scf}],
        },
        "files": [{"name": "siesta.out", "size": 48_213, "sha256": "ab" * 32}],
    }
