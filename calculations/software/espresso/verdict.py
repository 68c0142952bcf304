"""Whether a run's results may be used: the named verdict, the remedy, and the lines it rests on.

JOB DONE. proves nothing: pw.x says it too where SCF or geometry did not converge, and then ends
with 2 or 3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

from calculations.software import endings
from calculations.software.espresso import remedies
from calculations.software.espresso.evidence import Case, read_case
from calculations.software.espresso.output import OUTPUT
from calculations.software.espresso.report import ErrorBox, Report
from calculations.software.results import Exit, Outcome, Verdict

NOT_FOUND = re.compile(r"file\s+(\S+)\s+not found|(\S+\.upf)\b", re.IGNORECASE)
PSEUDO_ROUTINES = ("readpp", "read_upf", "read_pseudo", "upf_to_internal")
WRONG_PSEUDOPOTENTIAL = re.compile(
    r"inconsistent dft|conflicting values for|dft.* not match|file type not recognized"
    r"|pseudopotential.*(?:wrong|not recognized|not implemented|mismatch)",
    re.IGNORECASE,
)
DENSITY_ROUTINES = ("read_scf", "read_rhog", "read_rho_xml", "potinit", "read_file")
NOISE = re.compile(
    r"^[-=*\s]*$|MPI_ABORT|with errorcode|^NOTE:|^You may or may not|^exactly when|^STOP \d|"
    r"IEEE_|ORTE_ERROR_LOG|^#\d|^at \.\.|^Error termination",
)
# What pw.x says, and the values of the form that mend it.
REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"bad line in namelist|could not find namelist",
        "Check the further input: keywords, namelist, and text in quotes.",
    ),
    (
        r"smearing is needed|metallic|specify occupations|charge is wrong",
        "Set the occupations to smeared, with a width of 0.01 to 0.02 Ry, and check charge and "
        "spin: an odd number of electrons cannot have fixed occupations.",
    ),
    (r"atoms #|overlap", "Two atoms lie at one place: check the structure and its units."),
    (
        r"too many bands|eigenvectors failed|diaghg|S matrix not positive|problems computing chol",
        "Set the diagonalisation to conjugate gradients; if that fails too, check the structure, "
        "and raise the cutoff of the density (8 to 12 times the other for ultrasoft and PAW).",
    ),
    (r"nbnd", "Raise the number of bands computed, or set it to 0."),
    (
        r"conflicting values|functional|xc_?type|dft",
        "Take pseudopotentials of one functional, or name the functional in the form.",
    ),
    (r"ibrav|celldm|lattice", "Check the lattice, its parameter and ratios, or the vectors."),
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
    box = _box(case, PSEUDO_ROUTINES)
    found = NOT_FOUND.search(box.text) if box else None
    if box is None or "not found" not in box.text.lower():
        return None
    case.quote_box(box)
    path = next(filter(None, found.groups()), "") if found else ""
    folder, _, name = path[-200:].rpartition("/")
    name = name[:80] or "a pseudopotential"
    where = f" in {folder}" if folder and folder != "." else ""
    return case.outcome(
        Verdict.FAILED,
        "missing_pseudopotential",
        f"The pseudopotential {name} is missing{where}.",
        f"Supply {name} with the calculation, or check the names of the files and, for files on "
        "the cluster, its setting pseudo_dir.",
    )


def _box(case: Case, routines: tuple[str, ...]) -> ErrorBox | None:
    return next((box for box in case.report.errors if box.routine in routines), None)


def _wrong_pseudopotential(case: Case) -> Outcome | None:
    """pw.x compares the functionals of the files, and reads no other format than UPF."""
    box = next((b for b in case.report.errors if WRONG_PSEUDOPOTENTIAL.search(b.text)), None)
    if box is None or case.report.iterations_begun:
        return None
    case.quote_box(box)
    return case.outcome(
        Verdict.FAILED,
        "wrong_pseudopotential",
        f"A pseudopotential cannot be used: {_reason(box)}",
        "Take UPF files of one functional, such as a family of the lab's library, or name the "
        "functional in the form.",
    )


def _out_of_memory(case: Case) -> Outcome | None:
    return endings.out_of_memory(case, "the cutoffs, the number of k-points or the box")


def _scf_not_converged(case: Case) -> Outcome | None:
    report = case.report
    silent = case.complete and report.scf_converged is None and report.scf.count > 0
    own = case.exit.code == 2 and not case.stopped and not report.errors and report.scf.count
    if not (report.scf_failed or silent or own):
        return None
    case.quote(report.scf_failed)
    case.quote_stderr(r"^STOP 2$")
    if not report.scf_failed:
        case.evidence.append(f"no 'convergence has been achieved' for the last geometry ({OUTPUT})")
    step = report.scf.last
    after = f"after {step.iteration} iterations" if step else "in the allowed number of iterations"
    beta = f" at mixing weight {report.mixing_beta:g}" if report.mixing_beta is not None else ""
    accuracy = step.accuracy if step else None
    rest = f"; the energy was still uncertain by {accuracy:g} Ry" if accuracy is not None else ""
    remedy = remedies.scf(report)
    return case.outcome(
        Verdict.NOT_VALID,
        "scf_not_converged",
        f"SCF not converged {after}{beta}{rest}.",
        remedy.words,
        retry=remedy.retry,
        restart=remedy.restart,
    )


def _carried_density(case: Case) -> Outcome | None:
    """A run that starts from a density reads it before the first iteration."""
    box = _box(case, DENSITY_ROUTINES)
    if box is None or case.report.iterations_begun:
        return None
    case.quote_box(box)
    return case.outcome(
        Verdict.FAILED,
        "carried_density_does_not_fit",
        f"The density of the run before could not be taken: {_reason(box)}",
        "Run the points of the sweep independently, or leave spin and pseudopotentials alike.",
    )


def _input_error(case: Case) -> Outcome | None:
    """What pw.x refuses before the first iteration lies in the input, and a charge soon after."""
    report = case.report
    if not report.errors or case.exit.timed_out:
        return None
    if report.iterations_begun and (
        report.scf.count or not re.search("charge is wrong|smearing", report.errors[0].text)
    ):
        return None
    box = case.report.errors[0]
    for each in case.report.errors[:3]:
        case.quote_box(each)
    return case.outcome(
        Verdict.FAILED,
        "input_error",
        f"pw.x refused its input in {box.routine or 'a routine'}: {_reason(box)}",
        _remedy(box) or "Check the parameters that this names, and the further input.",
    )


def _reason(box: ErrorBox) -> str:
    return f"{box.text[:200] or 'without a reason'}."


def _remedy(box: ErrorBox) -> str:
    said = f"{box.routine} {box.text}"
    return next((remedy for pattern, remedy in REMEDIES if re.search(pattern, said, re.I)), "")


def _walltime(case: Case) -> Outcome | None:
    step = case.report.scf.last
    where = (
        f" in SCF iteration {step.iteration} of geometry {step.geometry}"
        if step
        else " before the first SCF iteration"
    )
    if len(case.report.done) >= case.steps:
        where = " after pw.x had reported its end"
    elif case.report.bands_begun:
        where = " in the step of the bands"
    return endings.out_of_time(case, where, "density")


def _no_output(case: Case) -> Outcome | None:
    return endings.without_output(case, "pw.x", "Quantum ESPRESSO", OUTPUT)


def _aborted(case: Case) -> Outcome | None:
    report = case.report
    if case.complete and not (case.exit.code == 3 and not report.optimisation):
        return None
    for box in report.errors[:3]:
        case.quote_box(box)
    note = next((note for note in case.stderr if not NOISE.search(note)), "")
    silent = case.exit.code in (0, None) and not case.stopped and not report.errors
    code = "cut_output" if silent and len(report.done) < case.steps else "aborted"
    if report.errors:
        said = f" in {report.errors[0].routine or 'a routine'}: {_reason(report.errors[0])}"
        message = f"pw.x stopped{said}"
    elif len(report.done) >= case.steps:
        message = f"pw.x reported its end, but then ended with {case.ending}."
    elif case.steps > 1 and report.done:
        message = f"The step of the bands did not reach its end: {case.ending}."
    elif case.exit.code in (0, None) and not case.exit.signal:
        message = "The output ends before pw.x reported its end."
    else:
        message = f"pw.x stopped with {case.ending}."
    if note and not report.errors:
        message += f" It said: {note[:200]}"
        case.evidence.append(f"{note} (stderr)")
    remedy = _remedy(report.errors[0]) if report.errors else ""
    return case.outcome(
        Verdict.FAILED,
        code,
        message,
        remedy
        or "Read the end of the output and of stderr; if neither explains it, submit it again.",
    )


def _no_energy(case: Case) -> Outcome | None:
    energy = case.report.energy
    if energy is not None and math.isfinite(energy):
        return None
    case.evidence.append(f"no finite total energy in {OUTPUT}")
    return case.outcome(
        Verdict.NOT_VALID,
        "no_energy",
        "pw.x reported its end, but there is no finite total energy.",
        "Check structure, pseudopotentials and charge; look for asterisks or NaN in the output.",
    )


def _no_bands(case: Case) -> Outcome | None:
    if case.steps == 1 or (case.report.bands_ended and case.report.band_levels):
        return None
    case.evidence.append(f"no levels along the path in {OUTPUT}")
    return case.outcome(
        Verdict.NOT_VALID,
        "no_bands",
        "pw.x reported its end, but there are no bands.",
        "Check the path of the bands, and look for asterisks in the output.",
    )


def _geometry_not_converged(case: Case) -> Outcome | None:
    report = case.report
    last, limit = report.geometries.last, report.force_tolerance
    force = last.max_force if last else None
    # The tolerance is printed with two digits. The last SCF of a changed cell has other plane
    # waves, and forces that may be a little larger.
    above = (
        force is not None and limit is not None and force > 1.05 * limit and not report.final_scf
    )
    if not report.optimisation and case.exit.code != 3:
        return None
    if (
        report.relaxed is not None
        and report.unrelaxed is None
        and not above
        and (case.exit.code != 3)
    ):
        return None
    case.quote(report.unrelaxed)
    case.quote_stderr(r"^STOP 3$")
    if force is not None:
        allowed = f", tolerance {limit:g} Ry/Bohr" if limit is not None else ""
        case.evidence.append(f"largest force {force:g} Ry/Bohr{allowed} ({OUTPUT})")
    count = report.geometries.count
    rest = f": the largest force is {force:g} Ry/Bohr" if force is not None else ""
    remedy = remedies.geometry(report)
    return case.outcome(
        Verdict.NOT_VALID,
        "geometry_not_converged",
        f"SCF converged, but the geometry did not after {count} steps{rest}.",
        remedy.words,
        retry=remedy.retry,
        last_geometry=True,
    )


def _converged(case: Case) -> Outcome:
    report = case.report
    case.quote(report.scf_converged)
    case.quote(report.relaxed)
    last = report.geometries.last
    if report.relaxed and last is not None and last.max_force is not None:
        limit = report.force_tolerance
        allowed = f", tolerance {limit:g} Ry/Bohr" if limit is not None else ""
        case.evidence.append(f"largest force {last.max_force:g} Ry/Bohr{allowed} ({OUTPUT})")
    case.quote(report.bands_ended)
    iterations = f" in {last.iterations} iterations" if last else ""
    steps = report.geometries.count - report.final_scf
    moves = f" and geometry converged in {steps} steps" if report.relaxed else ""
    bands = f"; bands at {_points(report)} k-points" if case.steps > 1 else ""
    return case.outcome(Verdict.VALID, "converged", f"SCF converged{iterations}{moves}{bands}.")


def _points(report: Report) -> int:
    return sum(level.spin == 1 for level in report.band_levels)


RULES: tuple[Callable[[Case], Outcome | None], ...] = (
    endings.cancelled,
    _missing_pseudopotential,
    _wrong_pseudopotential,
    endings.disk_full,
    _out_of_memory,
    _scf_not_converged,
    _carried_density,
    _input_error,
    _walltime,
    endings.killed,
    _no_output,
    _aborted,
    _no_energy,
    _no_bands,
    _geometry_not_converged,
)
