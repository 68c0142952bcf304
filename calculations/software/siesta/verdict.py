"""Whether a run's results may be used: the named verdict, the remedy, and the lines it rests on.

An exit code of 0 proves nothing: SIESTA also ends with 0 when SCF or geometry did not converge,
and on broken input.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from calculations.software import endings
from calculations.software.results import Exit, Outcome, Verdict
from calculations.software.siesta import remedies
from calculations.software.siesta.evidence import Case, read_case
from calculations.software.siesta.output import OUTPUT, Report

INPUT_ERROR = re.compile(
    r"FDF module:|fdf_\w+:.*(?:error|not |missing)"
    r"|(?:redata|coor|read_basis_specs|chemical_types|struct\w*|kgrid)\b.*ERROR"
    r"|ERROR.*(?:input|block|label|species|unit|fdf)"
    r"|(?:must|should) be specified|unrecognized|unknown (?:unit|keyword)",
    re.IGNORECASE,
)
WRONG_PSEUDOPOTENTIAL = re.compile(
    r"pseudo\w*\b.*(?:mismatch|wrong|inconsistent|different|does not correspond|not match)"
    r"|(?:mismatch|inconsistent|different).*pseudo|wrong atomic number|trying to use pseudo",
    re.IGNORECASE,
)
NOISE = re.compile(
    r"^[*\s]*$|^ERROR$|^Stopping Program|^STOP Stopping|^File:|^Line:"
    r"|^Program aborted|^#\d|^at \.\.|^FATAL:?$"
)


def judge(folder: Path, exit: Exit, report: Report | None = None) -> Outcome:
    """Return the first verdict that applies; the order puts the cause before its consequence.

    `report` is what the output said, where it was read already.
    """
    case = read_case(folder, exit, report)
    for rule in RULES:
        outcome = rule(case)
        if outcome is not None:
            return outcome
    return _converged(case)


def _missing_pseudopotential(case: Case) -> Outcome | None:
    if case.complete:
        return None
    line = case.report.missing_file
    note = next(
        (
            n
            for n in case.messages + case.stderr
            if re.search("pseudopotential.*not found", n, re.IGNORECASE)
        ),
        "",
    )
    if line is None and not note:
        return None
    case.quote(line)
    case.quote_notes(r"pseudopotential.*not found|^FATAL")
    found = re.search(r"not found:?\s*(\S+)", line.text if line else note)
    name = found.group(1)[:80] if found else "a pseudopotential"
    return case.outcome(
        Verdict.FAILED,
        "missing_pseudopotential",
        f"The pseudopotential {name} is missing.",
        f"Supply {name} with the calculation, and check that its name matches the chemical symbol.",
    )


def _wrong_pseudopotential(case: Case) -> Outcome | None:
    """SIESTA compares what the file says of itself with the species and the functional."""
    if case.complete or case.report.scf.count:
        return None
    lines = [line for line in case.said if WRONG_PSEUDOPOTENTIAL.search(line)]
    if not lines:
        return None
    case.evidence += lines[:3]
    reason = re.sub(r"\s*\([^()]*\)$", "", lines[0])
    return case.outcome(
        Verdict.FAILED,
        "wrong_pseudopotential",
        f"A pseudopotential does not belong to its element or functional: {reason}",
        "Check what the heads of the files say; take a family from the lab's library.",
    )


def _out_of_memory(case: Case) -> Outcome | None:
    return endings.out_of_memory(case, "the mesh cutoff, the number of k-points or the basis size")


def _scf_not_converged(case: Case) -> Outcome | None:
    report = case.report
    noted = any("SCF_NOT_CONV" in note for note in case.messages + case.stderr)
    silent = case.complete and report.scf_converged is None
    if not (noted or report.scf_failed or silent):
        return None
    case.quote(report.scf_failed)
    case.quote_notes("SCF_NOT_CONV")
    step = report.scf.last
    iterations = (
        f"after {step.iteration} iterations" if step else "in the allowed number of iterations"
    )
    mixing = report.mixing_weight
    at = f" at mixing weight {mixing:g}" if mixing is not None else ""
    change = step.density_change if step else None
    rest = f"; the density matrix still changed by {change:g}" if change is not None else ""
    if silent and not noted and not report.scf_failed:
        case.evidence.append(f"no 'SCF cycle converged' for the last geometry ({OUTPUT})")
    remedy = remedies.scf(report)
    return case.outcome(
        Verdict.NOT_VALID,
        "scf_not_converged",
        f"SCF not converged {iterations}{at}{rest}.",
        remedy.words,
        retry=remedy.retry,
        restart=remedy.restart,
    )


def _input_error(case: Case) -> Outcome | None:
    """Broken input stops SIESTA before the first SCF iteration, at times with exit code 0."""
    if case.report.scf.count or case.report.completed or case.exit.timed_out:
        return None
    texts = [f"{note} (stderr)" for note in case.stderr if INPUT_ERROR.search(note)]
    texts += [f"{note} (MESSAGES)" for note in case.messages if INPUT_ERROR.search(note)]
    texts += [
        f"{line.text} ({OUTPUT}:{line.number})"
        for line in case.report.errors
        if INPUT_ERROR.search(line.text)
    ]
    if not texts:
        return None
    case.evidence += texts[:3]
    reason = re.sub(r"\s*\([^()]*\)$", "", texts[0])
    return case.outcome(
        Verdict.FAILED,
        "input_error",
        f"SIESTA could not read its input: {reason}",
        "Check the raw fdf lines: every %block closed by %endblock, keywords, units.",
    )


def _walltime(case: Case) -> Outcome | None:
    step = case.report.scf.last
    where = (
        f" in SCF iteration {step.iteration} of geometry {step.geometry}"
        if step
        else " before the first SCF iteration"
    )
    if case.report.completed:
        where = " after SIESTA had reported its end"
    return endings.out_of_time(case, where, "density matrix")


def _no_output(case: Case) -> Outcome | None:
    return endings.without_output(case, "SIESTA", "SIESTA", OUTPUT)


def _aborted(case: Case) -> Outcome | None:
    if case.complete:
        return None
    case.evidence += [f"{line.text} ({OUTPUT}:{line.number})" for line in case.report.errors[:3]]
    case.quote_notes(r"FATAL|ABNORMAL_TERMINATION|error")
    reason = next(
        (
            n
            for n in case.messages + case.stderr
            if not NOISE.search(n) and not n.startswith("INFO")
        ),
        "",
    )
    code = "aborted"
    if case.report.completed is not None:
        message = f"SIESTA reported its end, but then ended with {case.ending}."
    elif case.exit.code in (0, None) and not case.exit.signal:
        message = "The output ends before SIESTA reported its end."
        code = code if case.report.errors else "cut_output"
    else:
        message = f"SIESTA stopped with {case.ending}."
    return case.outcome(
        Verdict.FAILED,
        code,
        message + (f" It said: {reason[:200]}" if reason and reason != "Job completed" else ""),
        "Read the end of the output and of stderr; if neither explains it, submit the run again.",
    )


def _no_energy(case: Case) -> Outcome | None:
    if case.report.total_energy is not None:
        return None
    case.evidence.append(f"no finite total energy in {OUTPUT}")
    return case.outcome(
        Verdict.NOT_VALID,
        "no_energy",
        "SIESTA reported its end, but there is no finite total energy.",
        "Check structure, pseudopotentials and charge; look for asterisks or NaN in the SCF table.",
    )


def _geometry_not_converged(case: Case) -> Outcome | None:
    report = case.report
    noted = any("GEOM_NOT_CONV" in note for note in case.messages + case.stderr)
    limit, last = report.force_tolerance, report.geometries.last
    force = last.max_force if last else None
    above = force is not None and limit is not None and force > limit
    if not noted and (not report.is_optimisation or (report.relaxed is not None and not above)):
        return None
    case.quote(report.unrelaxed)
    case.quote_notes("GEOM_NOT_CONV")
    if force is not None and limit is not None:
        case.evidence.append(
            f"largest force {force:g} eV/Ang, tolerance {limit:g} eV/Ang ({OUTPUT})"
        )
    moves = report.setting("Maximum number of optimization moves")
    after = f" after {moves:g} moves" if moves is not None else ""
    forces = f": the largest force is {force:g} eV/Ang, allowed are {limit:g}" if above else ""
    remedy = remedies.geometry(report)
    return case.outcome(
        Verdict.NOT_VALID,
        "geometry_not_converged",
        f"SCF converged, but the geometry did not{after}{forces}.",
        remedy.words,
        retry=remedy.retry,
        restart=remedy.restart,
        last_geometry=True,
    )


def _converged(case: Case) -> Outcome:
    report = case.report
    case.quote(report.scf_converged)
    case.quote(report.relaxed)
    if report.relaxed and report.force_tolerance is not None and report.geometries.last is not None:
        force = report.geometries.last.max_force
        case.evidence.append(
            f"largest force {force} eV/Ang, tolerance {report.force_tolerance:g} eV/Ang ({OUTPUT})"
        )
    step = report.scf.last
    iterations = f" in {step.iteration} iterations" if step else ""
    moves = f" and geometry converged in {report.geometries.count} steps" if report.relaxed else ""
    return case.outcome(Verdict.VALID, "converged", f"SCF converged{iterations}{moves}.")


RULES: tuple[Callable[[Case], Outcome | None], ...] = (
    endings.cancelled,
    _missing_pseudopotential,
    _wrong_pseudopotential,
    endings.disk_full,
    _out_of_memory,
    _scf_not_converged,
    _input_error,
    _walltime,
    endings.killed,
    _no_output,
    _aborted,
    _no_energy,
    _geometry_not_converged,
)
