"""Quantum ESPRESSO as a plug-in: its form, its input, its command line, and what is read back."""

from __future__ import annotations

import os
import pkgutil
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calculations.software.base import Resources, Software
from calculations.software.discovery import PATIENCE_S, program_says
from calculations.software.espresso import checking, extract, inputs, lattice, verdict
from calculations.software.espresso.analyses import ANALYSES
from calculations.software.espresso.output import OUTPUT, read_output
from calculations.software.espresso.parameters import PARAMETERS
from calculations.software.launching import launcher
from calculations.software.plausible import ELECTRONIC, PERIODIC
from calculations.software.pseudopotential import NeededPseudopotential
from calculations.software.reading import real
from calculations.software.results import Chart, Exit, Outcome, Progress, Results
from calculations.software.structure import Structure

PROGRAM = "run_steps.py"
VERSION_FOLDER = "espresso-version-"
ITERATION = re.compile(r"^\s*iteration #\s*(\d{1,6})", re.MULTILINE)
ACCURACY = re.compile(r"^\s*estimated scf accuracy\s*<\s*(\S+)\s*Ry", re.MULTILINE)
MOVE = re.compile(r"^\s*number of bfgs steps\s*=\s*(\d{1,6})", re.MULTILINE)
BANDS = "Band Structure Calculation"


class Espresso(Software):
    """Site settings: `executable` (default "pw.x"), `launcher`, such as "mpirun -n {tasks}",
    `pseudo_dir`, where the cluster has pseudopotentials, and `python` for runs of two steps.

    Bands need a self-consistent density first. A small program in the run's folder starts pw.x
    twice: one command line, no shell, one log, and the first failure ends the run with its own
    exit code, which one pw.x alone could not give.
    """

    name = "espresso"
    label = "Quantum ESPRESSO"
    description = "Density functional theory with plane waves (pw.x), for solids and molecules"
    parameters = PARAMETERS
    analyses = ANALYSES
    charts = (
        Chart(
            "scf",
            "step",
            ("accuracy",),
            "Estimated error of the energy",
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
    )
    log_file = OUTPUT
    # PAW keeps a part of the density in a file of its own.
    carry = (inputs.DENSITY, f"{inputs.PREFIX}.save/paw.txt")
    retrieve = (
        inputs.INPUT,
        inputs.SCF_INPUT,
        inputs.BANDS_INPUT,
        OUTPUT,
        "stderr*",
        "CRASH",
        f"{inputs.PREFIX}.xml",
    )
    mpi = True
    main_result = "total_energy"
    pseudo_formats = ("upf",)
    retried = ("scf_not_converged", "geometry_not_converged")
    plausible = (*ELECTRONIC, *PERIODIC)

    def validate(self, parameters: Mapping[str, Any]) -> None:
        checking.validate(parameters)

    def structure(self, parameters: Mapping[str, Any]) -> Structure:
        return lattice.structure_of(parameters)

    def structure_parameters(self, structure: Structure) -> dict[str, Any]:
        return lattice.parameters_of(structure)

    def needed_files(self, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        if parameters["pseudopotentials"] != "uploaded":
            return ()
        return tuple(dict.fromkeys(one.name for one in self.pseudopotentials(parameters)))

    def pseudopotentials(self, parameters: Mapping[str, Any]) -> tuple[NeededPseudopotential, ...]:
        """The files that are supplied; the cluster's own are not looked into."""
        if parameters["pseudopotentials"] != "uploaded":
            return ()
        wanted = parameters["functional"]
        functional = "" if wanted == "pseudopotential" else wanted
        files = inputs.pseudo_files(parameters, inputs.structure_of(parameters))
        return tuple(
            NeededPseudopotential(symbol, name, "upf", functional) for symbol, name in files.items()
        )

    def prepare(self, parameters: Mapping[str, Any], carried: Sequence[str] = ()) -> dict[str, str]:
        files = inputs.render(parameters, carried)
        return files if inputs.INPUT in files else {PROGRAM: _program(), **files}

    def command(
        self, parameters: Mapping[str, Any], resources: Resources, site: Mapping[str, str]
    ) -> list[str]:
        """The input is named, since not every launcher passes standard input on to pw.x."""
        program = [*launcher(site, resources), site.get("executable") or "pw.x"]
        if parameters["calculation"] == "bands":
            return [site.get("python") or sys.executable, PROGRAM, *program]
        return [*program, "-in", inputs.INPUT]

    def environment(self, site: Mapping[str, str]) -> dict[str, str]:
        """pw.x looks in $ESPRESSO_PSEUDO where its input names no pseudo_dir."""
        variables = {}
        if site.get("pseudo_dir"):
            variables["ESPRESSO_PSEUDO"] = site["pseudo_dir"]
        if "{cores}" in site.get("launcher", ""):  # one process for each core: no threads beside
            variables["OMP_NUM_THREADS"] = "1"
        return variables

    def discover(self, site: Mapping[str, str]) -> str | None:
        """Ask with an empty input: pw.x has no option for that, and says its version first."""
        executable = shutil.which(site.get("executable") or "pw.x")
        if executable is None:
            return None
        _clear_old_folders()
        with tempfile.TemporaryDirectory(prefix=VERSION_FOLDER) as folder:
            Path(folder, "empty.in").touch()
            text = program_says([executable, "-in", "empty.in"], folder)
        found = re.search(r"Program PWSCF\s+v\.?\s*(\d[\w.+-]*)", text)
        return found.group(1)[:60] if found else None

    def progress(self, tail: str) -> Progress | None:
        iterations = ITERATION.findall(tail)
        if not iterations:
            return None
        moves, accuracies = MOVE.findall(tail), ACCURACY.findall(tail)
        what = f"SCF iteration, BFGS step {int(moves[-1]) + 1}" if moves else "SCF iteration"
        if BANDS in tail:
            what = "bands, after SCF iteration"
        return Progress(
            done=int(iterations[-1]),
            of=None,
            what=what,
            monitor=real(accuracies[-1]) if accuracies else None,
        )

    def judge(self, folder: Path, exit: Exit) -> Outcome:
        return verdict.judge(folder, exit)

    def extract(self, folder: Path) -> Results:
        return extract.extract(folder)

    def assess(self, folder: Path, exit: Exit) -> tuple[Outcome, Results]:
        report = read_output(folder / OUTPUT)
        return verdict.judge(folder, exit, report), extract.extract(folder, report)


def _program() -> str:
    """Return the program's text, also where the plug-in lies inside the agent file."""
    source = pkgutil.get_data(__package__, "program.py")
    if source is None:
        raise FileNotFoundError("program.py is missing beside the Quantum ESPRESSO plug-in")
    return source.decode()


def _clear_old_folders() -> None:
    """Remove what earlier questions for the version left when they were killed."""
    before = time.time() - 10 * PATIENCE_S
    for folder in Path(tempfile.gettempdir()).glob(f"{VERSION_FOLDER}*"):
        try:
            found = folder.lstat()
        except OSError:
            continue
        if found.st_uid == os.getuid() and found.st_mtime < before:
            shutil.rmtree(folder, ignore_errors=True)
