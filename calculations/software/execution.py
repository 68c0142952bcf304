"""Carries out analyses in order, on the cluster and in the portal alike: what cannot be computed
says why and takes along what rests on it, nothing else.

Standard library only and Python 3.9, since the agent carries this file to login nodes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calculations.software.base import Analysis, NotComputable
from calculations.software.results import Results

log = logging.getLogger(__name__)

COMPUTED, MISSING, FAILED = "computed", "missing", "failed"
MAX_PROBLEM = 500

Run = tuple[Mapping[str, Any], Results]


@dataclass(frozen=True)
class Executed:
    """An analysis with what it found, or with the problem in words."""

    analysis: Analysis
    results: Results = field(default_factory=Results)
    status: str = COMPUTED
    problem: str = ""


def execute(
    analyses: Sequence[Analysis],
    results: Results,
    parameters: Mapping[str, Any],
    *,
    earlier: Iterable[Executed] = (),
    about: Mapping[str, Any] | None = None,
) -> list[Executed]:
    """Compute the analyses (in order) of one run; `earlier` are those that they may rest on."""
    done = {item.analysis.name: item for item in earlier}
    for analysis in analyses:
        known = results
        for name in analysis.requires:
            if name in done:
                known = known + done[name].results
        done[analysis.name] = _attempt(analysis, done, (known, parameters), about)
    return [done[analysis.name] for analysis in analyses]


def execute_across(
    analyses: Sequence[Analysis],
    runs: Sequence[Run],
    *,
    troubled: Mapping[str, str],
    about: Mapping[str, Any] | None = None,
) -> list[Executed]:
    """Compute the analyses (in order) that look at all runs.

    `troubled` names the analyses of single runs that no run has, with the reason.
    """
    done = {
        name: Executed(Analysis(name, name, "run", Results), status=MISSING, problem=problem)
        for name, problem in troubled.items()
    }
    for analysis in analyses:
        done[analysis.name] = _attempt(analysis, done, (runs,), about)
    return [done[analysis.name] for analysis in analyses]


def _attempt(
    analysis: Analysis,
    done: Mapping[str, Executed],
    arguments: tuple[Any, ...],
    about: Mapping[str, Any] | None,
) -> Executed:
    for name in analysis.requires:
        if name in done and done[name].status != COMPUTED:
            return _not(analysis, MISSING, f"rests on {name}: {done[name].problem}")
    try:
        return Executed(analysis, analysis.compute(*arguments))
    except NotComputable as reason:
        return _not(analysis, MISSING, str(reason))
    except Exception as error:
        log.exception("analysis %s failed", analysis.name, extra=dict(about or {}))
        return _not(analysis, FAILED, f"the plug-in failed: {type(error).__name__}: {error}")


def _not(analysis: Analysis, status: str, problem: str) -> Executed:
    return Executed(analysis, status=status, problem=problem[:MAX_PROBLEM])
