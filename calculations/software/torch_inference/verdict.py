"""Whether the predictions of a run may be used. An exit code of 0 proves nothing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from calculations.software.endings import DISK_FULL, OUT_OF_MEMORY, ending_words, signal_of
from calculations.software.reading import end_of, last_line
from calculations.software.results import Exit, Outcome, Verdict
from calculations.software.torch_inference.reading import (
    ERRORS,
    LOG,
    is_whole,
    progress_of,
    read_document,
    read_plan,
)


def judge(folder: Path, exit: Exit) -> Outcome:
    """Return the first verdict that applies; the order puts the cause before its consequence."""
    log, errors = end_of(folder / LOG), end_of(folder / ERRORS)
    evidence = _evidence(exit, log, errors)
    document = read_document(folder)
    failed = _ended_early(exit, log, evidence) or _named(document, evidence)
    failed = failed or _failed(exit, errors, evidence)
    if failed is not None:
        return failed
    if document is None or not is_whole(document):
        return Outcome(
            Verdict.FAILED,
            "no_results",
            "The program exited with 0 without whole results.",
            "Look at the log; a full disk is likely.",
            evidence,
        )
    try:
        return _not_valid(document, read_plan(folder), evidence) or _valid(document, evidence)
    except (KeyError, TypeError, ValueError, AttributeError):
        return Outcome(
            Verdict.FAILED,
            "results_broken",
            "results.json is not as this program writes it.",
            "Submit the run again; nothing else may write into its folder.",
            evidence,
        )


def _evidence(exit: Exit, log: str, errors: str) -> tuple[str, ...]:
    lines = [ending_words(exit)]
    if log.strip():
        lines.append(f"{last_line(log)} ({LOG})")
    if errors.strip():
        lines.append(f"{last_line(errors)} ({ERRORS})")
    return tuple(lines)


def _ended_early(exit: Exit, log: str, evidence: tuple[str, ...]) -> Outcome | None:
    if exit.cancelled:
        words, remedy = "The run was cancelled.", "Submit it again if it is wanted."
        return Outcome(Verdict.FAILED, "cancelled", words, remedy, evidence)
    if exit.timed_out:
        done = progress_of(log)
        where = f" after {done[0]:,} of {done[1]:,} samples" if done else ""
        return Outcome(
            Verdict.FAILED,
            "walltime",
            f"The walltime was over{where}.",
            "Ask for a longer walltime, or for more ranks and cores.",
            evidence,
        )
    return None


def _named(document: dict[str, Any] | None, evidence: tuple[str, ...]) -> Outcome | None:
    """What the program itself says to be the cause."""
    problem = document.get("problem") if document else None
    if not isinstance(problem, dict):
        return None
    words = [str(line)[:300] for line in problem.get("evidence") or ()][:20]
    code = str(problem.get("code", "")) or "program_error"
    verdict = Verdict.NOT_VALID if code == "reduced_differs" else Verdict.FAILED
    return Outcome(
        verdict,
        code[:60],
        str(problem.get("message", ""))[:1000],
        str(problem.get("remedy", ""))[:1000],
        (*words, *evidence),
    )


def _failed(exit: Exit, errors: str, evidence: tuple[str, ...]) -> Outcome | None:
    def failed(code: str, message: str, remedy: str) -> Outcome:
        return Outcome(Verdict.FAILED, code, message, remedy, evidence)

    if OUT_OF_MEMORY.search(errors) or "MemoryError" in errors:
        remedy = "Ask for more memory, fewer ranks, or a smaller batch size."
        return failed("out_of_memory", "The run needed more memory than it was given.", remedy)
    if DISK_FULL.search(errors):
        remedy = "Free room in the cluster's work folder, then submit again."
        return failed("disk_full", "The disk of the cluster was full.", remedy)
    if signal_of(exit):
        remedy = "Often that is the machine's lack of memory: ask for more, or try again."
        return failed("killed", f"The program was killed by {ending_words(exit)}.", remedy)
    if exit.code != 0:
        words = last_line(errors) or "nothing on standard error"
        remedy = "Look at the log and at standard error."
        return failed(
            "program_error", f"The program ended with {ending_words(exit)}: {words}", remedy
        )
    return None


def _not_valid(
    document: dict[str, Any], plan: dict[str, Any], evidence: tuple[str, ...]
) -> Outcome | None:
    def not_valid(code: str, message: str, remedy: str) -> Outcome:
        return Outcome(Verdict.NOT_VALID, code, message, remedy, evidence)

    samples = document["sums"]["samples"]
    planned = sum(part["samples"] for part in plan.get("partitions", ()))
    if not plan or samples != planned or len(document["partitions"]) != len(plan["partitions"]):
        return not_valid(
            "incomplete",
            f"{samples:,.0f} samples were inferred, {planned:,} were planned.",
            "Submit the run again; nothing else may write into its folder.",
        )
    strange = document["sums"]["not_finite"]
    if strange:
        return not_valid(
            "not_finite",
            f"{strange:,.0f} of {samples:,.0f} predictions are no finite numbers.",
            "Look at the partitions for values that are none, and at the weights; float32 has a "
            "wider range than the sums of bfloat16.",
        )
    difference, allowed = document["reduced"]["difference"], document["reduced"]["allowed"]
    if not math.isfinite(difference) or difference > allowed:
        return not_valid(
            "reduced_differs",
            "What the ranks have added up together is not the sum of what they handed in.",
            "Choose the run's own connection for collectives, and show this to the operator.",
        )
    return None


def _valid(document: dict[str, Any], evidence: tuple[str, ...]) -> Outcome:
    sums, ranks = document["sums"], document["ranks"]
    lost = document["course"]["lost_ranks"]
    words = (
        f"{sums['samples']:,.0f} samples of {len(document['partitions']):,} partitions were "
        f"inferred by {len(ranks)} {'rank' if len(ranks) == 1 else 'ranks'}."
    )
    told = [f"rank {item['rank']} was lost: {item['why']}" for item in lost[:5]]
    if lost:
        words += " The partitions of those that were lost went to others."
    if document["course"].get("collective_failures"):
        told.append(f"collectives: {document['course']['collective_failures'][-1]}")
    return Outcome(Verdict.VALID, "complete", words, "", (*evidence, *told))
