"""A real calculation, recorded once: water in a field along its axis by PySCF, PBE0/def2-TZVP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from calculations.models import Calculation
from calculations.services import results
from clusters import placement
from labportal.accounts.models import User
from tests.calculations.factories import submitted
from tests.clusters.factories import Agent, cluster

REPORTS = Path(__file__).parents[1] / "data" / "pyscf" / "water_sweep.json"
OFFERS = {"pyscf": {"version": "2.14.0", "ok": True, "problem": ""}}
SWEEP = {"parameter": "field_z", "from": -0.01, "to": 0.01, "points": 5, "mode": "chain"}
WISHES = {
    "name": "Water in an electric field",
    "software": "pyscf",
    "parameters": {"functional": "PBE0", "basis": "def2-tzvp"},
    "sweep": SWEEP,
}


def reports() -> list[dict[str, Any]]:
    return json.loads(REPORTS.read_text(encoding="utf-8"))


def agent(root: User) -> Agent:
    capacity = {"slots": {"total": 2, "free": 2}, "software": OFFERS}
    return Agent(cluster("tesla-1", capacity=capacity), root)


def water_sweep(actor: User, root: User, **wishes: Any) -> Calculation:
    """Submit it, and let an agent report what PySCF gave, run by run."""
    calculation = submitted(actor, **{**WISHES, **wishes})
    site = agent(root)
    for run, report in zip(calculation.runs.all(), reports(), strict=True):
        report_run(site, run, report)
    results.analyse(calculation.pk)
    return Calculation.objects.get(pk=calculation.pk)


def report_run(site: Agent, run: Any, report: dict[str, Any]) -> None:
    placement.place()
    site.exchange()
    site.tell(run.pk, "finished", **report)
    site.exchange()
