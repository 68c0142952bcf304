"""PySCF as a plug-in: its form, its input, its command line, and what is read back."""

from __future__ import annotations

import json
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calculations.software.base import Resources, Software
from calculations.software.discovery import python_says
from calculations.software.plausible import ELECTRONIC, Plausible
from calculations.software.pyscf import extract, parameters, reading, verdict
from calculations.software.pyscf.analyses import ANALYSES
from calculations.software.results import Chart, Exit, Outcome, Progress, Results
from calculations.software.structure import Structure, write_xyz

PROGRAM, INPUT, DENSITY = "run_pyscf.py", "input.json", "density_matrix.npy"
ASK_VERSION = "import importlib.metadata as m; print(m.version('pyscf'))"  # imports no pyscf: quick
MEMORY_MIB = 4000  # what PySCF may use for its buffers


class PySCF(Software):
    """Site settings: `python`, an interpreter that has pyscf (default: the agent's own)."""

    name = "pyscf"
    label = "PySCF"
    description = "Hartree-Fock and density functional theory with Gaussian orbitals, for molecules"
    parameters = parameters.PARAMETERS
    analyses = ANALYSES
    charts = (
        Chart(
            "scf",
            "iteration",
            ("energy_change", "gradient"),
            "Self-consistency",
            style="line+markers",
            log_y=True,
        ),
    )
    log_file = reading.LOG
    carry = (DENSITY,)
    retrieve = (INPUT, reading.LOG, reading.RESULTS, reading.ERRORS)
    main_result = "total_energy"
    plausible = (*ELECTRONIC, Plausible("polarizability", 0.0, 1e6, "a.u."))

    def validate(self, values: Mapping[str, Any]) -> None:
        parameters.validate(values)

    def structure(self, values: Mapping[str, Any]) -> Structure:
        return parameters.structure_of(values)

    def structure_parameters(self, structure: Structure) -> dict[str, Any]:
        return {"geometry": write_xyz(structure)}

    def prepare(self, values: Mapping[str, Any], carried: Sequence[str] = ()) -> dict[str, str]:
        structure = parameters.structure_of(values)
        given = {
            "atoms": [[atom.symbol, list(atom.position)] for atom in structure.atoms],
            "charge": values["charge"],
            "spin": values["spin"],
            "basis": values["basis"],
            "functional": values["functional"],
            "density_fitting": values["density_fitting"],
            "field": [values[name] for name in parameters.FIELDS],
            "convergence": values["convergence"],
            "max_cycles": values["max_cycles"],
            "forces": values["forces"],
            "memory_mib": MEMORY_MIB,
        }
        return {PROGRAM: _program(), INPUT: json.dumps(given, indent=1) + "\n"}

    def command(
        self, values: Mapping[str, Any], resources: Resources, site: Mapping[str, str]
    ) -> list[str]:
        return [site.get("python") or sys.executable, PROGRAM]

    def discover(self, site: Mapping[str, str]) -> str | None:
        return python_says(site, ASK_VERSION)

    def progress(self, tail: str) -> Progress | None:
        steps = reading.scf_steps(tail)
        if not steps:
            return None
        return Progress(int(steps[-1]["iteration"]), None, "SCF iteration", steps[-1]["gradient"])

    def judge(self, folder: Path, exit: Exit) -> Outcome:
        return verdict.judge(folder, exit)

    def extract(self, folder: Path) -> Results:
        return extract.extract(folder)


def _program() -> str:
    """Return the program's text, also where the plug-in lies inside the agent file."""
    source = pkgutil.get_data(__package__, "program.py")
    if source is None:
        raise FileNotFoundError("program.py is missing beside the PySCF plug-in")
    return source.decode()
