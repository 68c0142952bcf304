"""Makes calculations for tests, the way people make them: through the services."""

from __future__ import annotations

from typing import Any

from calculations.models import Calculation
from calculations.services import drafts, submission
from calculations.services.drafts import DraftSpec
from labportal.accounts.models import User
from tests.factories import default_project


def draft(actor: User, **wishes: Any) -> Calculation:
    spec = {"project": default_project(), "name": "Water", "software": "noop", **wishes}
    return drafts.create(DraftSpec(**spec), actor=actor)


def submitted(actor: User, **wishes: Any) -> Calculation:
    """A small one is approved by the rule and queued at once; a large one waits for review."""
    calculation = draft(actor, **wishes)
    submission.submit(calculation, actor=actor)
    return calculation


def chain(actor: User, runs: int = 3, **wishes: Any) -> Calculation:
    sweep = {"parameter": "value", "from": 0, "to": runs - 1, "points": runs, "mode": "chain"}
    return submitted(actor, sweep={**sweep, "carry": ["state.txt"]}, **wishes)
