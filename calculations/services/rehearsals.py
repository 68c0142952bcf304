"""The calculations of a rehearsal: submitted in one go, and deleted for good when it is over.

Nothing else that was ever submitted is deleted; what is not the rehearsal's program stays.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from calculations.models import Calculation
from calculations.services import drafts
from calculations.services.drafts import DraftSpec
from calculations.services.submission import approve, submit_all
from calculations.states import CalculationState
from labportal.accounts.models import Project, User
from labportal.accounts.roles import Can, require

PROGRAM = "rehearsal"
MEMORY_MIB, WALLTIME_S = 64, 300


@transaction.atomic
def submit(project: Project, cluster: Any, *, runs: int, seconds: float, actor: User) -> None:
    """Submit `runs` runs to a cluster: half of them as one sweep, the others each on its own."""
    require(actor, Can.MANAGE_CLUSTERS)
    swept = runs // 2
    spec = {
        "project": project,
        "software": PROGRAM,
        "parameters": {"seconds": seconds},
        "cluster": cluster,
        "memory_mib": MEMORY_MIB,
        "walltime_s": WALLTIME_S,
    }
    specs = [DraftSpec(name=f"Rehearsal {number}", **spec) for number in range(runs - swept)]
    if swept:
        sweep = {"parameter": "number", "values": list(range(swept))}
        specs.append(DraftSpec(name="Rehearsal, many runs", sweep=sweep, **spec))
    made = drafts.create_all(specs, actor=actor)
    submit_all(made, actor=actor)
    for calculation in made:
        calculation.refresh_from_db()
        if calculation.state == CalculationState.IN_REVIEW:
            approve(calculation, actor=actor, note="a rehearsal")


def remove(project: Project, *, actor: User) -> int:
    """Delete a rehearsal's calculations with all that belongs to them; return how many."""
    require(actor, Can.MANAGE_CLUSTERS)
    chosen = Calculation.objects.filter(project=project, software=PROGRAM)
    count = chosen.count()
    chosen.delete()
    return count
