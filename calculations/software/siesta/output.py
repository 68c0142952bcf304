"""SIESTA's standard output, read in constant memory into one Report.

Of a very long output only some geometries are read, but all are counted. Written against 4.1,
whose lines later versions keep. What cannot be read is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from calculations.software.reading import FIXED_6, Thinned, integer, real, reals
from calculations.software.siesta.populations import Populations
from calculations.software.survey import Landmarks, Part, read_through

OUTPUT = "output.out"
RYDBERG_PER_BOHR_IN_EV_PER_ANGSTROM = 25.71104309541616
MAX_ATOMS_KEPT = 5000
MAX_NOTES = 50


LANDMARKS = Landmarks(
    step=b"Begin ",
    step_line=re.compile(rb"[ \t\0]*Begin\s[^\n]{0,200}(?:move|step)\s*=\s*\d{1,9}"),
    counted=(b" scf:",),
    alarms=(b"error", b"scf_not_conv"),
)


@dataclass(frozen=True)
class ScfStep:
    """One line of the SCF table, the `number`-th of the output; energies in eV."""

    number: int
    geometry: int
    iteration: int
    energy: float | None = None
    free_energy: float | None = None
    density_change: float | None = None
    fermi: float | None = None
    hamiltonian_change: float | None = None


@dataclass
class GeometryStep:
    """One geometry: how its SCF went, its energy (eV), largest constrained force (eV/Å)."""

    number: int
    iterations: int = 0
    converged: bool = False
    energy: float | None = None
    max_force: float | None = None


@dataclass(frozen=True)
class Line:
    """A line of the output that a verdict may quote."""

    number: int
    text: str


@dataclass
class Report:
    """What a run printed. Lengths in Å, energies in eV, dipole in Debye, pressure in kbar."""

    lines_read: int = 0
    version: str = ""
    label: str = ""
    started: str = ""
    ended: str = ""
    completed: Line | None = None
    scf: Thinned[ScfStep] = field(default_factory=lambda: Thinned(4000))
    geometries: Thinned[GeometryStep] = field(default_factory=lambda: Thinned(4000))
    scf_converged: Line | None = None
    scf_failed: Line | None = None
    relaxed: Line | None = None
    unrelaxed: Line | None = None
    missing_file: Line | None = None
    errors: list[Line] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    energies: dict[str, float] = field(default_factory=dict)
    electrons: float | None = None
    dipole: tuple[float, float, float] | None = None
    spin_total: float | None = None
    forces: list[tuple[float | None, ...]] = field(default_factory=list)
    force_max: float | None = None
    force_residual: float | None = None
    stress: list[tuple[float | None, ...]] = field(default_factory=list)
    pressure: float | None = None
    volume: float | None = None
    cell: list[tuple[float | None, ...]] = field(default_factory=list)
    coordinates: list[tuple[str, float, float, float]] = field(default_factory=list)
    populations: Populations = field(default_factory=Populations)
    wall_seconds: float | None = None
    columns: tuple[str, ...] = ()

    @property
    def dynamics(self) -> str:
        return self.settings.get("Dynamics option", "")

    @property
    def is_optimisation(self) -> bool:
        return bool(re.search(r"optim|relax|CG|Broyden|FIRE", self.dynamics)) or bool(
            self.relaxed or self.unrelaxed
        )

    @property
    def variable_cell(self) -> bool:
        return self.settings.get("Variable cell") == "T"

    @property
    def force_tolerance(self) -> float | None:
        """The tolerance in eV/Å."""
        text = self.settings.get("Force tolerance", "")
        value = next(iter(reals(text)), None)
        if value is not None and "Ry" in text:
            value *= RYDBERG_PER_BOHR_IN_EV_PER_ANGSTROM
        return value

    @property
    def total_energy(self) -> float | None:
        return self.energies.get("Total")

    @property
    def mixing_weight(self) -> float | None:
        return self.setting("Mixing weight") or self.setting("New DM Mixing Weight")

    def setting(self, name: str) -> float | None:
        return next(iter(reals(self.settings.get(name, ""))), None)


def read_output(path: Path) -> Report:
    """Read a whole output file; an absent one gives an empty Report."""
    reader = _Reader()
    read_through(path, LANDMARKS, reader)
    return reader.report


_NUMBERED = re.compile(r"siesta:\s+(\d+)((?:\s+\S+){3})\s*$")
_ERROR = re.compile(
    r"\bERROR\b|\bFATAL\b|^\s*ABNORMAL_TERMINATION|^Stopping Program|Execution aborted",
    re.IGNORECASE,
)
_NOT_AN_ERROR = re.compile(
    r"tolerance|criterion|estimated|standard error|max.*error", re.IGNORECASE
)
_SETTING = re.compile(r"(?:redata|mix\.SCF):\s+(.*?)\s*(?:=|:)\s*(\S.*)$")
_KEPT_SETTINGS = (
    "Dynamics option",
    "Force tolerance",
    "Maximum number of optimization moves",
    "Variable cell",
    "Max. number of SCF Iter",
    "Mixing weight",
    "History steps",
    "New DM Mixing Weight",
    "DM tolerance for SCF",
    "Spin configuration",
    "Number of spin components",
    "Electronic Temperature",
    "Net charge of the system",
    "Mesh Cutoff",
)
_ENERGY = re.compile(
    r"siesta:\s+(Total|Fermi|Kinetic|Hartree|Exch\.-corr\.|Ion-ion|Ext\. field|Band Struct\.)"
    r"\s*=(.*)$"
)


class _Reader:
    """One pass; `_inside` is the reader of the table in which the line may stand."""

    def __init__(self) -> None:
        self.report = Report()
        self._inside: Callable[[str], bool] | None = None
        self._step = GeometryStep(0)
        self._seen_step = False

    def feed(self, number: int, text: str) -> None:
        report = self.report
        report.lines_read = number
        if "Dump of input data file" in text:
            self._inside = self._input_line
        if self._inside is not None:
            if self._inside(text):
                return
            self._inside = None
        stripped = text.lstrip()
        if stripped.startswith("scf:"):
            self._scf_line(stripped)
        elif stripped.startswith(("siesta:", "outcoor:", "outcell:")):
            self._siesta_line(number, stripped)
        elif stripped.startswith(("redata:", "mix.SCF:")):
            self._setting_line(stripped)
        elif stripped:
            self._other_line(number, text, stripped)

    def jump(self, part: Part) -> None:
        """The lines before `part` were left out."""
        self._inside = None
        if part.steps is not None:
            self.report.geometries.skip_to(part.steps)
            self.report.scf.skip_to(*part.counts)

    @staticmethod
    def _input_line(text: str) -> bool:
        """Skip the copy of the input: what a scientist wrote there is no evidence."""
        return "End of input data file" not in text

    def _scf_line(self, text: str) -> None:
        found = re.match(r"scf:\s*(\d{1,9})\s(.*)$", text)
        if found is None:
            return
        values = [real(value) for value in FIXED_6.findall(found.group(2))]
        names = self.report.columns
        if len(names) != len(values):
            names = ("Eharris", "E_KS", "FreeEng", "dDmax", "Ef", "dHmax")
            if len(values) > len(names):  # a fixed spin prints two Fermi levels
                names = ("Eharris", "E_KS", "FreeEng", "dDmax", "Ef_up", "Ef", "dHmax")
        row = {names[i]: values[i] for i in range(min(len(names), len(values)))}
        iteration = int(found.group(1))
        self._begin_step()
        self._step.iterations = iteration
        self.report.scf.append(
            ScfStep(
                self.report.scf.count + 1,
                self._step.number,
                iteration,
                row.get("E_KS"),
                row.get("FreeEng"),
                row.get("dDmax"),
                row.get("Ef", row.get("Ef_dn")),
                row.get("dHmax"),
            )
        )

    def _begin_step(self) -> None:
        if not self._seen_step:
            self._seen_step = True
            self.report.geometries.append(self._step)

    def _siesta_line(self, number: int, text: str) -> None:
        report = self.report
        if found := _ENERGY.match(text):
            value = real(found.group(2))
            if value is None:
                report.energies.pop(found.group(1), None)
            else:
                report.energies[found.group(1)] = value
        elif text.startswith("siesta: E_KS(eV) ="):
            self._step.energy = real(text.partition("=")[2])
        elif text.startswith("siesta: Atomic forces"):
            report.forces, self._inside = [], self._force_line
        elif text.startswith("siesta: Stress tensor (static)"):
            report.stress, self._inside = [], self._stress_line
        elif text.startswith("siesta: Electric dipole (Debye)"):
            x, y, z = (*reals(text.partition("=")[2])[:3], None, None, None)[:3]
            report.dipole = (x, y, z) if x is not None and y is not None and z is not None else None
        elif text.startswith("siesta: Cell volume"):
            report.volume = next(iter(reals(text.partition("=")[2])), None)
        elif text.startswith("siesta:") and text.rstrip().endswith("kBar"):
            report.pressure = next(iter(reals(text[7:])), None)
        elif text.startswith("siesta: Total spin polarization"):
            report.spin_total = next(iter(reals(text.partition("=")[2])), None)
        elif text.startswith("outcoor:"):
            self._coordinates_head(number, text)
        elif text.startswith("outcell: Unit cell vectors (Ang)"):
            report.cell, self._inside = [], self._cell_line

    def _coordinates_head(self, number: int, text: str) -> None:
        if "Relaxed" in text:
            self.report.relaxed, self.report.unrelaxed = Line(number, text.strip()), None
        elif "unrelaxed" in text:
            self.report.unrelaxed, self.report.relaxed = Line(number, text.strip()), None
        if "(Ang)" in text:
            self.report.coordinates, self._inside = [], self._coordinate_line

    def _coordinate_line(self, text: str) -> bool:
        words = text.split()
        if len(words) < 6:
            return False
        x, y, z = (real(word) for word in words[:3])
        if x is None or y is None or z is None or integer(words[3]) is None:
            return False
        if len(self.report.coordinates) < MAX_ATOMS_KEPT:
            self.report.coordinates.append((words[-1], x, y, z))
        return True

    def _cell_line(self, text: str) -> bool:
        values = reals(text)
        if len(self.report.cell) < 3 and len(values) == 3 and ":" not in text:
            self.report.cell.append(tuple(values))
            return True
        return False

    def _force_line(self, text: str) -> bool:
        if found := re.match(r"\s*(Max|Res)\s+(\S+)(\s.*constrained)?", text):
            value = real(found.group(2))
            if found.group(1) == "Res":
                self.report.force_residual = value
            else:
                self.report.force_max = value
                if found.group(3):
                    self._step.max_force = value
            return not found.group(3)
        if found := _NUMBERED.match(text.strip()):
            if len(self.report.forces) < MAX_ATOMS_KEPT:
                values = [real(word) for word in found.group(2).split()]
                self.report.forces.append(tuple(values))
            return True
        return bool(re.match(r"\s*(siesta:\s*)?(-{5,}|Tot\s|\d+\s)", text))

    def _stress_line(self, text: str) -> bool:
        values = reals(text.partition("siesta:")[2])
        if len(self.report.stress) < 3 and len(values) == 3:
            self.report.stress.append(tuple(values))
            return True
        return False

    def _setting_line(self, text: str) -> None:
        found = _SETTING.match(text)
        if found and found.group(1) in _KEPT_SETTINGS and len(found.group(2)) < 200:
            self.report.settings[found.group(1)] = found.group(2).strip()

    def _other_line(self, number: int, text: str, stripped: str) -> None:
        report = self.report
        if "opulations" in stripped or stripped.startswith("mulliken:"):
            self._inside = report.populations.begin(stripped)
            return
        if stripped[0] in "0123456789.":  # a row of a table that nobody asked for
            return
        if stripped.startswith("SCF cycle converged after"):
            self._step.converged = True
            report.scf_converged = Line(number, stripped.strip())
        elif stripped.startswith("iscf"):
            report.columns = tuple(re.sub(r"\(.*?\)", "", word) for word in stripped.split()[1:])
        elif found := re.match(r"Begin\s+(.*?)(?:move|step)\s*=\s*(\d{1,9})", stripped):
            self._next_geometry(int(found.group(2)))
        elif "SCF_NOT_CONV" in stripped:
            report.scf_failed = report.scf_failed or Line(number, stripped.strip()[:200])
        elif stripped.rstrip() == "Job completed":
            report.completed = Line(number, "Job completed")
        elif re.search(r"pseudopotential.*not found", stripped, re.IGNORECASE):
            report.missing_file = Line(number, stripped.strip()[:200])
        elif _ERROR.search(text) and not _NOT_AN_ERROR.search(text):
            if len(report.errors) < MAX_NOTES:
                report.errors.append(Line(number, stripped.strip()[:200]))
        else:
            self._head_line(stripped)

    def _next_geometry(self, number: int) -> None:
        if self._seen_step:
            self._step, self._seen_step = GeometryStep(number), False
        self._step.number = number
        self.report.scf_converged = None

    def _head_line(self, text: str) -> None:
        report = self.report
        if found := re.match(r"(?:Siesta\s+)?Version\s*:?\s*(\S+)", text, re.IGNORECASE):
            report.version = report.version or found.group(1)[:60]
        elif text.startswith("reinit: System Label:"):
            report.label = text.partition(": System Label:")[2].strip()[:100]
        elif text.startswith(">> Start of run:"):
            report.started = text.partition(":")[2].strip()[:60]
        elif text.startswith(">> End of run:"):
            report.ended = text.partition(":")[2].strip()[:60]
        elif text.startswith("Total number of electrons:"):
            report.electrons = next(iter(reals(text.partition(":")[2])), None)
        elif text.startswith("timer: Elapsed wall time (sec)"):
            report.wall_seconds = next(iter(reals(text.partition("=")[2])), None)
