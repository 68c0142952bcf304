"""What the lab has found, for the browser tests: recorded runs of SIESTA with figures and a
trajectory, grids over two and three axes, results of every standing, structures and an export.
"""

from __future__ import annotations

from math import exp
from typing import Any

from django.db import transaction

from calculations.models import Calculation
from calculations.services import drafts, exports, results, standing, structures, submission
from calculations.services.drafts import DraftSpec
from clusters.models import Cluster
from labportal.accounts.models import Project, User
from tests.calculations.outcomes import begin, end
from tests.calculations.report.siesta import relaxed_water, silicon_bands, water_in_fields
from tests.calculations.scaling.runs import calculation
from tests.clusters.factories import cluster

GRID = {
    "axes": [
        {"parameter": "field_y", "values": [0.0, 0.1, 0.2, 0.3, 0.4]},
        {"parameter": "mesh_cutoff", "values": [100, 150, 200, 300]},
    ],
    "mode": "independent",
}
CUBE = {
    "axes": [
        {"parameter": "field_y", "values": [0.0, 0.2, 0.4]},
        {"parameter": "mesh_cutoff", "values": [100, 200, 300]},
        {"parameter": "rotation", "values": [0, 45, 90], "axis": [0, 0, 1], "about": "centre"},
    ],
    "mode": "independent",
}
MOLECULES = {
    "Ammonia": "4\n\nN 0 0 0.116\nH 0 0.94 -0.27\nH 0.814 -0.47 -0.27\nH -0.814 -0.47 -0.27\n",
    "Methane": "5\n\nC 0 0 0\nH 0.63 0.63 0.63\nH -0.63 -0.63 0.63\nH -0.63 0.63 -0.63\n"
    "H 0.63 -0.63 -0.63\n",
    "Carbon dioxide": "3\n\nO 0 0 1.16\nC 0 0 0\nO 0 0 -1.16\n",
}


#: A machine that is switched off, so that nobody but the seed takes what is queued for it.
OFF = {
    "slots": {"total": 4, "free": 0},
    "cores": 16,
    "memory_mib": 65536,
    "software": {"siesta": {"version": "4.1-b4", "ok": True, "problem": ""}},
}


def found(people: dict[str, User], project: Project) -> dict[str, Calculation]:
    """Make all of it; return the calculations by what they show."""
    ada, max_ = people["ada"], people["max"]
    site = cluster("metis", enabled=False, capacity=OFF)
    made = {
        "chain": water_in_fields(ada, name="A chain of recorded fields"),
        "bands": silicon_bands(ada, project=project),
        "relaxation": relaxed_water(ada),
        "grid": _grid(ada, project, site, "Field and mesh cutoff", GRID),
        "cube": _grid(ada, project, site, "Field, mesh cutoff and angle", CUBE, ended=19),
        "scaled": calculation(ada, {1: 20.0, 2: 11.2, 4: 7.1, 8: 5.9}, name="Redshift over ranks"),
    }
    standing.check([one.pk for one in made.values()])
    standing.validate(made["chain"], actor=max_, note="Agrees with the measured polarizability.")
    made["doubtful"] = _derived(ada, made["relaxation"], site)
    standing.retract(made["relaxation"], actor=ada, reason="the forces were not tight enough")
    for name, content in MOLECULES.items():
        structures.create(project, name=name, content=content, actor=ada, tags=["small"])
    for person in (ada, people["root"]):
        exports.ask("tables", {"calculation": made["bands"].pk}, user=person)
    return made


def _draft(actor: User, **wishes: Any) -> Calculation:
    return drafts.create(DraftSpec(software="siesta", pseudo_family="PBE", **wishes), actor=actor)


def _grid(
    actor: User, project: Project, site: Cluster, name: str, sweep: dict[str, Any], ended: int = 99
) -> Calculation:
    """Every run of it reported, but the last ones of a grid that still goes on."""
    made = _draft(actor, project=project, name=name, sweep=sweep, walltime_s=60)
    submission.submit(made, actor=actor)
    for run in made.runs.order_by("index")[:ended]:
        field, cutoff = run.parameters["field_y"], run.parameters["mesh_cutoff"]
        verdict = "not_valid" if run.index == 7 else "valid"
        energy = -465.8 - 0.9 * field**2 - 0.4 * exp(-cutoff / 90)
        end(begin(run, site), energy, 1.394 + 0.31 * field, verdict)
    return made


def _derived(actor: User, relaxation: Calculation, site: Cluster) -> Calculation:
    """A calculation of the geometry that the relaxation ended with."""
    saved, _ = structures.create_from_run(relaxation.runs.get(), actor=actor, name="Relaxed water")
    made = _draft(
        actor,
        project=relaxation.project,
        name="Spectrum of relaxed water",
        structure=saved,
    )
    submission.submit(made, actor=actor)
    end(begin(made.runs.get(), site), -466.1, 1.9)
    with transaction.atomic():
        results.analyse(made.pk)
    standing.check([made.pk])
    return made
