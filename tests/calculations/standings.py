"""Arranges calculations that are valid, with results as an agent reports them, and what was derived
from them.
"""

from __future__ import annotations

from typing import Any

from calculations.models import Calculation, Run, Structure
from calculations.services import standing
from clusters import placement
from labportal.accounts.models import User
from tests.calculations.factories import submitted
from tests.clusters.factories import Agent, finished

ENERGY = {"name": "energy", "label": "Energy", "value": -76.1, "unit": "eV"}
EXIT_CODE = {"name": "exit_code", "label": "Exit code", "value": 0, "unit": ""}


def report(*quantities: dict[str, Any], **details: Any) -> dict[str, Any]:
    found = [EXIT_CODE, *(quantities or (ENERGY,))]
    return finished(**{"results": {"quantities": found, "datasets": []}, **details})


def executed(
    agent: Agent, calculation: Calculation, *quantities: dict[str, Any], **details: Any
) -> Calculation:
    """Have the agent run every run of it and report; nothing is checked yet."""
    while True:
        placement.place()
        agent.exchange()
        waiting = [run for run in calculation.runs.all() if str(run.pk) in agent.runs]
        if not waiting:
            break
        for run in waiting:
            agent.tell(run.pk, "finished", **report(*quantities, **details))
        agent.exchange()
    calculation.refresh_from_db()
    return calculation


def valid(agent: Agent, actor: User, *quantities: dict[str, Any], **wishes: Any) -> Calculation:
    return executed(agent, submitted(actor, **wishes), *quantities)


def checked(agent: Agent, actor: User, *quantities: dict[str, Any], **wishes: Any) -> Calculation:
    calculation = valid(agent, actor, *quantities, **wishes)
    standing.check([calculation.pk])
    calculation.refresh_from_db()
    return calculation


def saved_from(run: Run, *, actor: User) -> Structure:
    """A structure as it is saved from a run; its content does not matter here."""
    return Structure.objects.create(
        project=run.calculation.project,
        name="relaxed",
        content="2\n\nH 0 0 0\nH 0 0 0.74\n",
        formula="H2",
        elements=["H"],
        atom_count=2,
        fingerprint=str(run.pk),
        derived_from=run,
        created_by=actor,
    )


def derived(source: Calculation, calculation: Calculation) -> None:
    """Let `calculation` use a structure that was saved from a run of `source`."""
    run = source.runs.first()
    known = Structure.objects.filter(derived_from=run).first()
    calculation.structure = known or saved_from(run, actor=source.created_by)
    calculation.save(update_fields=["structure"])
