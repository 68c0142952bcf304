"""Real runs of SIESTA in the database: what the agent would report of the recorded folders."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from django.db import transaction

from calculations.models import Calculation, Run
from calculations.services import drafts, execution, results, specs, submission
from calculations.software.registry import get_software
from calculations.software.results import Exit
from clusters.agent.evaluation import evaluate
from clusters.models import Cluster
from labportal.accounts.models import User
from tests.calculations.factories import draft
from tests.calculations.outcomes import begin
from tests.clusters.factories import cluster, finished

DATA = Path(__file__).parents[2] / "data" / "siesta"
FIELDS = (0.0, 0.1, 0.2, 0.3, 0.4)
SILICON = "2\nsilicon\nSi 0 0 0\nSi 1.3575 1.3575 1.3575\n"
LATTICE = "0 2.715 2.715\n2.715 0 2.715\n2.715 2.715 0"


def water_in_fields(actor: User, *, name: str = "Water in an electric field") -> Calculation:
    """Five fields along y, each run from the density matrix of the one before."""
    sweep = {"parameter": "field_y", "values": list(FIELDS), "mode": "chain"}
    analyses = ["convergence", "eigenvalues", "forces", "energy", "dipole", "polarizability"]
    folders = [DATA / "water_field_sweep" / f"field_{field}" for field in FIELDS]
    wishes = {"name": name, "sweep": sweep, "analyses": analyses}
    return _reported(actor, ("O.psf", "H.psf"), folders, **wishes)


def silicon_bands(actor: User, **more: Any) -> Calculation:
    analyses = ["convergence", "eigenvalues", "dos", "bands"]
    wishes = {"name": "Bands of silicon", "analyses": analyses, "walltime_s": 300, **more}
    parameters = {"structure": SILICON, "cell": LATTICE, "bands": True, "dos": True}
    folders = [DATA / "silicon_bands_dos"]
    return _reported(actor, ("Si.psf",), folders, parameters=parameters, **wishes)


def relaxed_water(actor: User) -> Calculation:
    """A relaxation with its trajectory."""
    wishes = {"name": "Relaxation of water", "analyses": ["convergence", "forces"]}
    parameters = {"run_type": "CG", "max_steps": 30}
    folders = [DATA / "water_relax"]
    return _reported(actor, ("O.psf", "H.psf"), folders, parameters=parameters, **wishes)


def _reported(
    actor: User, supplied: tuple[str, ...], folders: list[Path], **wishes: Any
) -> Calculation:
    made = draft(actor, software="siesta", **wishes)
    for name in supplied:
        drafts.attach(made, name, BytesIO(b"pseudo"), actor=actor)
    submission.submit(made, actor=actor)
    offers = {"software": {"siesta": {"version": "4.1-b4", "ok": True}}}
    site = Cluster.objects.filter(name="metis").first() or cluster("metis", capacity=offers)
    for index, folder in enumerate(folders):
        run = begin(Run.objects.get(calculation=made, index=index), site)
        _end(run, folder)
    results.analyse(made.pk)
    return Calculation.objects.get(pk=made.pk)


def _end(run: Run, folder: Path) -> None:
    (spec,) = specs.specs_of([run]).values()
    told = evaluate(get_software, spec, folder, Exit(0))
    files = [
        {"name": name, "size": (folder / name).stat().st_size, "sha256": "ab" * 32}
        for name in ("output.out", "input.fdf")
    ]
    with transaction.atomic():
        execution.accept([(run, {**finished("valid"), **told, "files": files})], agent="metis")
