"""The graph of a plug-in's analyses: what needs what, and which choices of them can be carried out.

Called by the portal's form, API and storage, by the agent, and at the registration of a plug-in.
Standard library only and Python 3.9, since the agent carries this file to login nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from calculations.software.base import Analysis, InvalidAnalyses

SCOPES = ("run", "calculation")


def order_analyses(available: Sequence[Analysis], chosen: Sequence[str]) -> list[Analysis]:
    """Return the chosen analyses so that each follows what it requires.

    Raises InvalidAnalyses for an unknown name, a missing requirement, or a cycle in the
    definitions.
    """
    known = _known(available, chosen)
    for name in chosen:
        missing = [needed for needed in known[name].requires if needed not in chosen]
        if missing:
            raise InvalidAnalyses(
                f"analysis {name!r} needs {', '.join(missing)}: choose that too, or leave it out"
            )
    return _ordered(known, chosen)


def completed(available: Sequence[Analysis], chosen: Sequence[str]) -> list[Analysis]:
    """Return the chosen analyses and all that they require, in order. Raises InvalidAnalyses for
    an unknown name.
    """
    known = _known(available, chosen)
    wanted: list[str] = []
    rest = list(chosen)
    while rest:
        name = rest.pop()
        if name not in wanted:
            wanted.append(name)
            rest += known[name].requires
    return _ordered(known, [name for name in known if name in wanted])


def suited(
    available: Sequence[Analysis], parameters: Mapping[str, Any], swept: Sequence[str]
) -> list[str]:
    """Return the usual choice: the defaults that will find something, with what they require."""
    chosen = [
        a.name
        for a in available
        if a.default and (swept or a.scope == "run") and not a.lacks(parameters, swept)
    ]
    return [analysis.name for analysis in completed(available, chosen)]


def requirements(available: Sequence[Analysis], name: str) -> list[str]:
    """Return the names of all that an analysis rests on, directly or not, in the order given."""
    return [a.name for a in completed(available, [name]) if a.name != name]


def check_definitions(available: Sequence[Analysis]) -> None:
    """Raises InvalidAnalyses where definitions contradict one another: a name twice, an unknown
    requirement, a circle, or one run's analysis that would need all runs.
    """
    known = {analysis.name: analysis for analysis in available}
    if len(known) < len(available):
        names = [analysis.name for analysis in available]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InvalidAnalyses(f"analyses are defined twice: {', '.join(twice)}")
    for analysis in available:
        if analysis.scope not in SCOPES:
            raise InvalidAnalyses(f"analysis {analysis.name!r} has no scope {analysis.scope!r}")
        for needed in analysis.requires:
            if needed not in known:
                raise InvalidAnalyses(
                    f"analysis {analysis.name!r} requires {needed!r}, which is unknown"
                )
            if analysis.scope == "run" and known[needed].scope != "run":
                raise InvalidAnalyses(
                    f"analysis {analysis.name!r} of one run requires {needed!r} of all runs"
                )
    _ordered(known, list(known))


def _known(available: Sequence[Analysis], chosen: Iterable[str]) -> dict[str, Analysis]:
    known = {analysis.name: analysis for analysis in available}
    for name in chosen:
        if name not in known:
            raise InvalidAnalyses(
                f"analysis {str(name)[:60]!r} is unknown; known are {', '.join(known) or 'none'}"
            )
    return known


def _ordered(known: Mapping[str, Analysis], chosen: Sequence[str]) -> list[Analysis]:
    ordered: list[Analysis] = []
    visiting: list[str] = []

    def visit(name: str) -> None:
        if name in visiting:
            raise InvalidAnalyses(
                f"analyses depend on each other in a circle: {' → '.join([*visiting, name])}"
            )
        if known[name] in ordered:
            return
        visiting.append(name)
        for needed in known[name].requires:
            visit(needed)
        visiting.pop()
        ordered.append(known[name])

    for name in chosen:
        visit(name)
    return ordered
