"""SIESTA as a plug-in: its form, its input, its command line, and what is read back."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from calculations.software.base import InputRead, Resources, Software
from calculations.software.discovery import program_says
from calculations.software.launching import launcher
from calculations.software.plausible import ELECTRONIC, PERIODIC, Plausible
from calculations.software.pseudopotential import NeededPseudopotential
from calculations.software.reading import FIXED_6, real
from calculations.software.results import Chart, Exit, Outcome, Progress, Results
from calculations.software.siesta import checking, extract, importing, inputs, transport, verdict
from calculations.software.siesta.analyses import ANALYSES
from calculations.software.siesta.output import OUTPUT, read_output
from calculations.software.siesta.parameters import PARAMETERS
from calculations.software.structure import Structure, write_xyz

SCF_LINE = re.compile(r"^\s*scf:\s*(\d{1,9})\s+(.*)$", re.MULTILINE)
MOVE_LINE = re.compile(r"Begin\s.*?(?:move|step)\s*=\s*(\d{1,9})")
LIMIT_LINE = re.compile(r"Max\. number of SCF Iter\s*=\s*(\d{1,9})\s*$", re.MULTILINE)


class Siesta(Software):
    """Site settings: `executable` (default "siesta"), `launcher`, such as "mpirun -n {tasks}", and
    `transiesta = no` where SIESTA was built without it.
    """

    name = "siesta"
    label = "SIESTA"
    description = (
        "Density functional theory with numerical atomic orbitals, for molecules and solids"
    )
    parameters = PARAMETERS
    analyses = ANALYSES
    charts = (
        Chart(
            "scf",
            "step",
            ("density_change",),
            "Change of the density matrix",
            style="line+markers",
            log_y=True,
        ),
        Chart(
            "geometry_steps",
            "geometry",
            ("max_force",),
            "Largest force",
            style="line+markers",
            log_y=True,
        ),
        Chart("dynamics", "step", ("temperature",), "Temperature"),
        Chart("dynamics", "step", ("energy", "potential_energy"), "Energy of the dynamics"),
    )
    log_file = OUTPUT
    stdin_file = inputs.INPUT
    carry = ("*.DM",)
    retrieve = (
        inputs.INPUT,
        OUTPUT,
        "stderr*",
        "MESSAGES",
        "0_NORMAL_EXIT",
        "CLOCK",
        "FORCE_STRESS",
        "OUTVARS.yml",
        "*.EIG",
        "*.FA",
        "*.XV",
        "*.DOS",
        "*.bands",
        "*.ANI",
        "*.MDE",
        "*.PDOS.xml",
        "*.TSHS",
        "*.KP",
        "*.STRUCT_OUT",
    )
    mpi = True
    main_result = "total_energy"
    input_format = "fdf"
    pseudo_formats = ("psf", "psml")
    retried = ("scf_not_converged", "geometry_not_converged")
    plausible = (*ELECTRONIC, *PERIODIC, Plausible("polarizability", 0.0, 1e5, "Å³"))

    def validate(self, parameters: Mapping[str, Any]) -> None:
        checking.validate(parameters)

    def structure(self, parameters: Mapping[str, Any]) -> Structure:
        found = inputs.structure_of(parameters)
        return replace(found, cell=inputs.cell_of(parameters, found))

    def structure_parameters(self, structure: Structure) -> dict[str, Any]:
        return {"structure": write_xyz(structure), "cell": "", "scale": 1.0}

    def unsupported(self, parameters: Mapping[str, Any], version: str) -> str:
        return transport.unsupported(parameters, version)

    def read_input(self, text: str) -> InputRead:
        return importing.read_input(text)

    def needed_files(self, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        names = (needed.name for needed in self.pseudopotentials(parameters))
        return (*names, *transport.electrode_files(parameters))

    def pseudopotentials(self, parameters: Mapping[str, Any]) -> tuple[NeededPseudopotential, ...]:
        kind, functional = parameters["pseudo_format"], parameters["functional"]
        return tuple(
            NeededPseudopotential(symbol, f"{symbol}.{kind}", kind, functional)
            for symbol in inputs.structure_of(parameters).species
        )

    def prepare(self, parameters: Mapping[str, Any], carried: Sequence[str] = ()) -> dict[str, str]:
        return {inputs.INPUT: inputs.render(parameters, carried)}

    def command(
        self, parameters: Mapping[str, Any], resources: Resources, site: Mapping[str, str]
    ) -> list[str]:
        """Every version reads the input on standard input; not all take a file's name."""
        return [*launcher(site, resources), site.get("executable") or "siesta"]

    def environment(self, site: Mapping[str, str]) -> dict[str, str]:
        """One process for each core has no threads beside."""
        return {"OMP_NUM_THREADS": "1"} if "{cores}" in site.get("launcher", "") else {}

    def discover(self, site: Mapping[str, str]) -> str | None:
        """Ask in an empty folder, since some versions start to run instead of answering."""
        executable = shutil.which(site.get("executable") or "siesta")
        if executable is None:
            return None
        with tempfile.TemporaryDirectory(prefix="siesta-version-") as folder:
            text = program_says([executable, "--version"], folder)
        found = re.search(r"version\s*:?\s*(v?\d[\w.+-]*)", text, re.IGNORECASE)
        if found is None:
            return None
        without = site.get("transiesta", "").lower() in ("no", "off", "false", "0")
        return f"{found.group(1)[:40]} {transport.ABSENT}" if without else found.group(1)[:60]

    def progress(self, tail: str) -> Progress | None:
        lines = list(SCF_LINE.finditer(tail))
        if not lines:
            return None
        last = lines[-1]
        numbers = [real(value) for value in FIXED_6.findall(last.group(2))]
        moves = [int(found.group(1)) for found in MOVE_LINE.finditer(tail)]
        limit = LIMIT_LINE.search(tail)
        return Progress(
            done=int(last.group(1)),
            of=int(limit.group(1)) if limit else None,
            what=f"SCF iteration, CG move {moves[-1]}" if moves else "SCF iteration",
            monitor=numbers[3] if len(numbers) > 3 else None,
        )

    def judge(self, folder: Path, exit: Exit) -> Outcome:
        return verdict.judge(folder, exit)

    def extract(self, folder: Path) -> Results:
        return extract.extract(folder)

    def assess(self, folder: Path, exit: Exit) -> tuple[Outcome, Results]:
        report = read_output(folder / OUTPUT)
        return verdict.judge(folder, exit, report), extract.extract(folder, report)
