"""What to try next after SCF or geometry did not converge: in words, and as values of the form."""

from __future__ import annotations

from typing import Any, NamedTuple

from calculations.software.advice import is_falling, lower_weight, more_steps
from calculations.software.siesta.output import Report

DENSITY = ("*.DM",)
LONG_HISTORY = 6
SMALL_WEIGHT = 0.1


class Remedy(NamedTuple):
    """`retry` are parameters to change, `restart` files that are sound enough to start from."""

    words: str
    retry: dict[str, Any]
    restart: tuple[str, ...] = ()


def scf(report: Report) -> Remedy:
    """A cycle that was on its way needs time; one that swings is mixed more carefully first, then
    with a longer memory. A density that swings is no start for another cycle.
    """
    step = report.scf.last
    limit = report.setting("Max. number of SCF Iter") or (step.iteration if step else None)
    falling = is_falling([s.density_change for s in list(report.scf.recent)[-6:]], 0.5)
    if limit is not None and (falling or limit < 30):
        raised = more_steps(limit)
        return Remedy(
            f"The density was still converging: try at least {raised} SCF iterations "
            f"(now {limit:g}), starting from this density.",
            {"max_scf_iterations": raised},
            DENSITY if falling else (),
        )
    weight, history = report.mixing_weight, report.setting("History steps")
    lower = lower_weight(weight) if weight is not None else None
    if lower is not None and (weight or 0) > SMALL_WEIGHT:
        return Remedy(
            f"Try a mixing weight of {lower:g}, then a higher electronic temperature (500 K), "
            "and check charge, spin and structure.",
            {"mixing_weight": lower},
        )
    if weight is not None and limit is not None and (history or 0) < LONG_HISTORY:
        return Remedy(
            f"Try Pulay mixing with a history of {LONG_HISTORY} and {more_steps(limit)} "
            "iterations, then a higher electronic temperature (500 K), and check charge, spin "
            "and structure.",
            {
                "mixing_method": "Pulay",
                "mixing_history": LONG_HISTORY,
                "max_scf_iterations": more_steps(limit),
            },
        )
    return Remedy(
        "Try a higher electronic temperature (500 K), mixing of the density matrix instead of the "
        "Hamiltonian, and check charge, spin and structure.",
        {},
    )


def geometry(report: Report) -> Remedy:
    moves = report.setting("Maximum number of optimization moves")
    more = f" (now {moves:g})" if moves is not None else ""
    return Remedy(
        f"Allow more moves{more} and start from the last geometry; "
        "a tolerance below 0.01 eV/Ang needs a finer mesh.",
        {} if moves is None else {"max_steps": more_steps(moves)},
        DENSITY,
    )
