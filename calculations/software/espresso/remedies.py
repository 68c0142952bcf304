"""What to try next after SCF or geometry did not converge: in words, and as values of the form."""

from __future__ import annotations

from typing import Any, NamedTuple

from calculations.software.advice import is_falling, lower_weight, more_steps
from calculations.software.espresso.report import Report

# What pw.x leaves of a density, where it leaves any.
DENSITY = ("espresso.save/charge-density.dat", "espresso.save/paw.txt")
USUAL_WEIGHT = 0.7
SMALL_WEIGHT = 0.1


class Remedy(NamedTuple):
    """`retry` are parameters to change, `restart` files that are sound enough to start from."""

    words: str
    retry: dict[str, Any]
    restart: tuple[str, ...] = ()


def scf(report: Report) -> Remedy:
    """A cycle that was on its way needs time; one that swings is mixed more carefully, then given
    time and local screening. A density that swings is no start for another cycle.
    """
    step = report.scf.last
    falling = is_falling([s.accuracy for s in list(report.scf.recent)[-8:]], 0.3)
    iterations = step.iteration if step else 0
    raised = more_steps(iterations)
    if falling or iterations < 30:
        return Remedy(
            f"The density was still converging: try at least {raised} SCF iterations "
            f"(now {iterations}), or an SCF tolerance that is less strict.",
            {"electron_maxstep": raised},
            DENSITY if falling else (),
        )
    weight = report.mixing_beta or USUAL_WEIGHT
    lower = lower_weight(weight)
    further = (
        "then smeared occupations with a width of 0.02 Ry, local screening in the mixing for "
        "surfaces, and check charge, spin and structure."
    )
    if lower is not None and weight > SMALL_WEIGHT:
        return Remedy(f"Try a mixing weight of {lower:g}, {further}", {"mixing_beta": lower})
    return Remedy(
        f"Try local screening in the mixing and {raised} SCF iterations, {further}",
        {"mixing_mode": "local-TF", "electron_maxstep": raised},
    )


def geometry(report: Report) -> Remedy:
    now = f" (now {report.nstep})" if report.nstep is not None else ""
    return Remedy(
        f"Allow more steps{now} and start from the last geometry; where the energy rises between "
        "steps, make the SCF tolerance ten times smaller.",
        {} if report.nstep is None else {"nstep": more_steps(report.nstep)},
    )
