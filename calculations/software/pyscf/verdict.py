"""Whether a PySCF run's results may be used. An exit code of 0 proves nothing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from calculations.software.pyscf.reading import ERRORS, LOG, read_results
from calculations.software.reading import end_of, last_line
from calculations.software.results import Exit, Outcome, Verdict

DOES_NOT_FIT = 2


def judge(folder: Path, exit: Exit) -> Outcome:
    """Return the first verdict that applies; the order puts the cause before its consequence."""
    log, errors = end_of(folder / LOG), end_of(folder / ERRORS)
    evidence = _evidence(exit, log, errors)
    failed = _failed(exit, errors, evidence)
    if failed is not None:
        return failed
    results = read_results(folder)
    if results is None:
        return Outcome(
            Verdict.FAILED,
            "no_results",
            "The program exited with 0 without results.",
            "Look at the log; a full disk or a program of another version are likely.",
            evidence,
        )
    return _not_valid(results, evidence) or Outcome(
        Verdict.VALID,
        "converged",
        f"SCF converged after {len(results['iterations'])} iterations.",
        evidence=evidence,
    )


def _evidence(exit: Exit, log: str, errors: str) -> tuple[str, ...]:
    code = "unknown" if exit.code is None else str(exit.code)
    lines = [f"exit code {code}"]
    if log:
        lines.append(f"{last_line(log)} ({LOG})")
    if errors.strip():
        lines.append(f"{last_line(errors)} ({ERRORS})")
    return tuple(lines)


def _failed(exit: Exit, errors: str, evidence: tuple[str, ...]) -> Outcome | None:
    def failed(code: str, message: str, remedy: str) -> Outcome:
        return Outcome(Verdict.FAILED, code, message, remedy, evidence)

    if exit.cancelled:
        return failed("cancelled", "The run was cancelled.", "Submit it again if it is wanted.")
    if exit.timed_out:
        remedy = "Ask for a longer walltime, a smaller basis, or density fitting."
        return failed("walltime", "The walltime was over before the end.", remedy)
    if "MemoryError" in errors:
        remedy = "Ask for more memory, a smaller basis, or density fitting."
        return failed("out_of_memory", "The program ran out of memory.", remedy)
    if exit.signal:
        remedy = "Often that is the machine's lack of memory: ask for more, or try again."
        return failed("killed", f"The program was killed by signal {exit.signal}.", remedy)
    if exit.code == DOES_NOT_FIT and "density matrix" in errors:
        remedy = "Keep geometry, basis and spin the same along a chain, or start each run afresh."
        return failed("carried_density_does_not_fit", _sentence(last_line(errors)), remedy)
    if exit.code != 0:
        words = last_line(errors) or "nothing on standard error"
        remedy = "Look at the log and at standard error."
        code = "an unknown exit code" if exit.code is None else f"exit code {exit.code}"
        return failed("program_error", f"The program failed with {code}: {words}", remedy)
    return None


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _not_valid(results: dict[str, Any], evidence: tuple[str, ...]) -> Outcome | None:
    if results["converged"] is not True:
        steps = results["iterations"] if isinstance(results["iterations"], list) else []
        return Outcome(
            Verdict.NOT_VALID,
            "scf_not_converged",
            f"SCF did not converge in {len(steps)} iterations.",
            _scf_remedy(steps),
            evidence,
        )
    numbers = [results["energy"], *results["dipole"]]
    if not all(isinstance(n, (int, float)) and math.isfinite(n) for n in numbers):
        return Outcome(
            Verdict.NOT_VALID,
            "not_finite",
            "The energy or the dipole is not a finite number.",
            "Check the geometry for atoms that lie too close, and the basis.",
            evidence,
        )
    return None


def _scf_remedy(steps: list[dict[str, float]]) -> str:
    gradients = [step["gradient"] for step in steps[-4:]]
    if len(gradients) > 1 and gradients[-1] < 0.5 * gradients[0]:
        more = max(100, 2 * len(steps))
        return f"It was still converging: allow {more} iterations, from this density matrix."
    return "Check charge, spin and geometry; then start from a smaller basis or another functional."
