"""From a stored run to the specification that an agent executes."""

from __future__ import annotations

from collections.abc import Iterable

from calculations.models import InputFile, Run
from calculations.services.results import across_runs
from calculations.services.sweeps import carry_of
from calculations.software.base import Carry, RunSpec, StagedFile
from calculations.software.registry import get_software


def specs_of(runs: Iterable[Run]) -> dict[str, RunSpec]:
    """Return each run's specification by run id; expects `calculation` to be loaded. One query for
    all files.
    """
    runs = list(runs)
    files: dict[int, list[StagedFile]] = {}
    wanted = {r.calculation_id for r in runs if _needs_files(r)}
    for item in InputFile.objects.filter(calculation__in=wanted) if wanted else ():
        files.setdefault(item.calculation_id, []).append(
            StagedFile(item.name, item.size, item.sha256)
        )
    return {str(run.pk): _spec(run, tuple(files.get(run.calculation_id, ()))) for run in runs}


def _needs_files(run: Run) -> bool:
    return bool(get_software(run.calculation.software).needed_files(run.full_parameters()))


def _spec(run: Run, files: tuple[StagedFile, ...]) -> RunSpec:
    calculation = run.calculation
    later = {analysis.name for analysis in across_runs(calculation)}
    return RunSpec(
        run=str(run.pk),
        attempt=run.attempt,
        software=calculation.software,
        parameters=run.full_parameters(),
        analyses=tuple(name for name in calculation.analyses if name not in later),
        resources=calculation.resources,
        files=files,
        carry=_carry(run),
        group=calculation.number,
    )


def _carry(run: Run) -> Carry | None:
    """What a run starts from: its own attempt before, where that left something sound on this
    cluster, else the run before it in a chain.
    """
    restart = run.restart
    if restart and restart["cluster"] == run.cluster_id:
        return Carry(str(run.pk), tuple(restart["files"]), restart["attempt"])
    if run.predecessor_id is not None:
        return Carry(str(run.predecessor_id), carry_of(run.calculation))
    return None
