"""Standard output of pw.x, read in constant memory into one Report.

Written against 6.7, whose lines later versions keep. One output may hold several programs, as a
run of bands does. Of a very long output only some geometries are read, but all are counted. What
cannot be read is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from calculations.software.espresso.report import (
    BOHR_IN_ANGSTROM,
    MAX_ATOMS_KEPT,
    MAX_ERRORS,
    MAX_K_POINTS,
    MAX_LEVELS_KEPT,
    ErrorBox,
    GeometryStep,
    Levels,
    Line,
    Report,
    ScfStep,
)
from calculations.software.reading import integer, real, reals
from calculations.software.survey import Landmarks, Part, read_through

OUTPUT = "output.out"
LANDMARKS = Landmarks(
    step=b"Self-consistent Calculation",
    step_line=re.compile(rb"[ \t\0]*Self-consistent Calculation"),
    counted=(b"iteration #", b"estimated scf accuracy"),
    alarms=(b"convergence not achieved",),
)

_FIXED_4 = re.compile(r"[-+]?\d*\.\d{4}|\*+|[-+]?nan", re.IGNORECASE)
_FIXED_2 = re.compile(r"[-+]?\d*\.\d\d(?!\d)|\*{6,}|[-+]?nan", re.IGNORECASE)
_LEVELS = re.compile(r"k\s*=(.*?)\(\s*\d+ PWs\)\s+bands \(ev\)", re.IGNORECASE)
_K_POINT = re.compile(r"k\(\s*\S+\)\s*=\s*\((.*?)\),\s*wk\s*=(.*)$")
_SITE = re.compile(r"\d+\s+(\S+)\s+tau\(\s*\S+\)\s*=\s*\((.*)\)")
_AXIS = re.compile(r"a\(\d\)\s*=\s*\((.*)\)")
_FORCE = re.compile(r"atom\s+\S+\s+type\s+\S+\s+force\s*=(.*)$")
_TIME = re.compile(r"(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:([\d.]+)s)?\s*WALL")
_TERMS = {
    "one-electron contribution": "One-electron contribution",
    "hartree contribution": "Hartree contribution",
    "xc contribution": "Exchange and correlation",
    "ewald contribution": "Ewald contribution",
    "one-center paw contrib.": "One-centre PAW contribution",
    "smearing contrib. (-TS)": "Smearing contribution (-TS)",
    "Dispersion Correction": "Dispersion correction",
    "Hubbard energy": "Hubbard energy",
}


def read_output(path: Path) -> Report:
    """Read a whole output file; an absent one gives an empty Report."""
    reader = _Reader()
    read_through(path, LANDMARKS, reader)
    return reader.report


def _first(text: str) -> float | None:
    return next(iter(reals(text)), None)


def _after(text: str) -> float | None:
    """The first number behind the sign of equality."""
    return _first(text.partition("=")[2])


class _Reader:
    """One pass; `_inside` is the reader of the table in which the line may stand."""

    def __init__(self) -> None:
        self.report = Report()
        self._inside: Callable[[str], bool] | None = None
        self._step: GeometryStep | None = None
        self._iteration = 0
        self._energy: float | None = None
        self._bands = False
        self._spin = 1
        self._level: list[float | None] = []
        self._point: tuple[float | None, ...] = ()
        self._levels_kept = 0
        self._unit = ""

    def feed(self, number: int, text: str) -> None:
        self.report.lines_read = number
        if self._inside is not None:
            if self._inside(text):
                return
            self._inside = None
        stripped = text.strip()
        if not stripped or stripped[0] in "0123456789.":
            return
        for reader in (self._scf_line, self._geometry_line, self._levels_head, self._end_line):
            if reader(number, stripped):
                return
        self._head_line(stripped)

    def jump(self, part: Part) -> None:
        """The lines before `part` were left out."""
        self._inside = None
        if part.steps is not None:
            begun, accuracies = part.counts
            self.report.geometries.skip_to(part.steps)
            self.report.scf.skip_to(accuracies)
            self.report.iterations_begun = begun

    def _scf_line(self, number: int, text: str) -> bool:
        report = self.report
        if text.startswith("iteration #"):
            self._iteration = integer(text[11:].split("ecut")[0]) or 0
            self._energy = None
            self._current().iterations = self._iteration
            report.iterations_begun += 1
        elif text.startswith(("total energy", "!    total energy")) and "=" in text:
            self._energy = _after(text)
            if text.startswith("!"):
                self._current().energy = self._energy
                report.energy, report.energy_line = self._energy, Line(number, text)
        elif text.startswith("estimated scf accuracy"):
            accuracy = _first(text.partition("<")[2])
            step = self._current()
            report.scf.append(
                ScfStep(report.scf.count + 1, step.number, self._iteration, self._energy, accuracy)
            )
        elif text.startswith("convergence has been achieved"):
            self._current().converged = True
            report.scf_converged = Line(number, text)
            self._current().iterations = integer(re.sub(r"\D", "", text)[:9]) or self._iteration
        elif text.startswith("convergence NOT achieved"):
            report.scf_failed = report.scf_failed or Line(number, text)
        elif text.startswith("Self-consistent Calculation"):
            self._step = None
            report.scf_converged = None
        elif (term := text.partition("=")[0].strip()) in _TERMS and text.endswith("Ry"):
            value = _after(text)
            if value is not None:
                report.terms[_TERMS[term]] = value
        else:
            return False
        return True

    def _current(self) -> GeometryStep:
        if self._step is None:
            self._step = GeometryStep(self.report.geometries.count + 1, final=self.report.final_scf)
            self.report.geometries.append(self._step)
        return self._step

    def _geometry_line(self, number: int, text: str) -> bool:
        report = self.report
        if text.startswith("Forces acting on atoms"):
            report.forces, self._inside = [], self._force_line
        elif text.startswith("Total force ="):
            report.total_force = _after(text)
            self._current().total_force = report.total_force
        elif text.startswith("total   stress"):
            report.pressure = _after(text.partition("P")[1] + text.partition("P")[2])
            self._current().pressure = report.pressure
            report.stress, self._inside = [], self._stress_line
        elif text.startswith("ATOMIC_POSITIONS"):
            report.begin_frame(text[16:].strip(" (){}").lower())
            self._inside = self._position_line
        elif text.startswith("CELL_PARAMETERS"):
            self._unit, report.cell = text[15:].strip(" (){}").lower(), []
            self._inside = self._cell_line
        elif text.startswith("bfgs converged in"):
            report.relaxed = Line(number, text)
        elif text.startswith("(criteria:"):
            found = re.search(r"force\s*<\s*([-+\d.EeDd]+)", text)
            report.force_tolerance = _first(found.group(1)) if found else None
        elif text.startswith("BFGS Geometry Optimization"):
            report.optimisation = True
        elif text.startswith(("The maximum number of steps has been", "bfgs failed after")):
            report.unrelaxed = Line(number, text)
        elif text.startswith("new unit-cell volume"):
            report.volume = _bohr3(_after(text))
        elif text.startswith("Final scf calculation at the relaxed"):
            report.final_scf = True
        else:
            return False
        return True

    def _force_line(self, text: str) -> bool:
        found = _FORCE.match(text.strip())
        if found and len(self.report.forces) < MAX_ATOMS_KEPT:
            row = [*(real(word) for word in found.group(1).split()), None, None, None][:3]
            self.report.forces.append(tuple(row))
            largest = [abs(value) for value in row if value is not None]
            step = self._current()
            step.max_force = max([step.max_force or 0.0, *largest])
        return bool(found) or not text.strip()

    def _stress_line(self, text: str) -> bool:
        values = [real(word) for word in _FIXED_2.findall(text)][-3:]
        if len(values) == 3 and len(self.report.stress) < 3:
            self.report.stress.append(tuple(values))
            return True
        return False

    def _position_line(self, text: str) -> bool:
        words = text.split()
        values = [real(word) for word in words[1:4]]
        if len(values) != 3 or None in values:
            return False
        if len(self.report.atoms) < MAX_ATOMS_KEPT:
            self.report.atoms.append((words[0][:20], *(v for v in values if v is not None)))
        return True

    def _cell_line(self, text: str) -> bool:
        values = reals(text)
        if len(values) != 3 or None in values or len(self.report.cell) >= 3:
            return False
        alat = _first(self._unit.partition("=")[2]) or self.report.alat
        factor = {"angstrom": 1.0, "bohr": BOHR_IN_ANGSTROM}.get(
            self._unit, (alat or 1.0) * BOHR_IN_ANGSTROM
        )
        self.report.cell.append(tuple(v * factor for v in values if v is not None))
        return True

    def _levels_head(self, number: int, text: str) -> bool:
        report = self.report
        if found := _LEVELS.match(text):
            self._point = tuple(real(word) for word in _FIXED_4.findall(found.group(1)))
            self._level, self._inside = [], self._level_line
        elif text.startswith("End of self-consistent calculation"):
            report.levels, self._bands, self._spin, self._levels_kept = [], False, 1, 0
        elif text.startswith("End of band structure calculation"):
            report.band_levels, self._bands, self._spin, self._levels_kept = [], True, 1, 0
            report.bands_ended = Line(number, text)
        elif text.startswith("------ SPIN"):
            self._spin = 2 if "DOWN" in text else 1
        else:
            return False
        return True

    def _level_line(self, text: str) -> bool:
        if not text.strip():
            if self._level:
                self._keep_level()
                return False
            return True
        values = [real(word) for word in _FIXED_4.findall(text)]
        if not values or re.search(r"[a-df-z]", text, re.IGNORECASE):
            self._keep_level()
            return False
        self._level += values
        return len(self._level) <= MAX_LEVELS_KEPT

    def _keep_level(self) -> None:
        target = self.report.band_levels if self._bands else self.report.levels
        self._levels_kept += len(self._level)
        if self._level and self._levels_kept <= MAX_LEVELS_KEPT:
            target.append(Levels(self._spin, self._point, tuple(self._level)))
        self._level = []

    def _end_line(self, number: int, text: str) -> bool:
        report = self.report
        if text == "JOB DONE.":
            report.done.append(Line(number, text))
            del report.done[:-10]
        elif text.startswith("Error in routine"):
            if len(report.errors) < MAX_ERRORS:
                report.errors.append(ErrorBox(Line(number, " ".join(text[:200].split()))))
                self._inside = self._box_line
        elif text.startswith("PWSCF") and text.endswith("WALL") and "CPU" in text:
            seconds = _seconds(text.partition("CPU")[2])
            if seconds is not None:
                report.wall_seconds = (report.wall_seconds or 0.0) + seconds
        else:
            return self._energy_line(text)
        return True

    def _box_line(self, text: str) -> bool:
        box = self.report.errors[-1]
        if "%%%%" in text or len(box.text) > 300:
            return False
        box.text = f"{box.text} {text.strip()[:300]}".strip()
        return True

    def _energy_line(self, text: str) -> bool:
        report = self.report
        values = [real(word) for word in _FIXED_4.findall(text.partition(":")[2])]
        if text.startswith("highest occupied, lowest unoccupied level"):
            report.homo, report.lumo = (*values, None, None)[:2]
        elif text.startswith("highest occupied level"):
            report.homo, report.lumo = next(iter(values), None), None
        elif text.startswith("the Fermi energy is"):
            report.fermi = _first(text[19:])
        elif text.startswith("the spin up/dw Fermi energies are"):
            both = [value for value in reals(text[33:])[:2] if value is not None]
            report.fermi = max(both, default=None)
        elif text.startswith("total magnetization") and "=" in text:
            report.magnetization = _after(text)
        elif text.startswith("absolute magnetization"):
            report.absolute_magnetization = _after(text)
        else:
            return False
        return True

    def _head_line(self, text: str) -> None:
        report = self.report
        if found := re.match(r"Program PWSCF v\.?\s*(\S+)", text):
            report.version = report.version or found.group(1)[:60]
            report.programs += 1
        elif text.startswith("lattice parameter (alat)"):
            report.alat = _after(text)
        elif text.startswith("unit-cell volume"):
            report.volume = _bohr3(_after(text))
        elif text.startswith("number of electrons"):
            report.electrons = _after(text)
        elif text.startswith("number of Kohn-Sham states"):
            report.states = integer(text.partition("=")[2])
        elif text.startswith("mixing beta"):
            report.mixing_beta = _after(text)
        elif text.startswith("nstep"):
            report.nstep = integer(text.partition("=")[2])
        elif report.final_scf and text.startswith(("crystal axes:", "site n.")):
            pass  # the cell that was reached is known with more digits
        elif text.startswith("crystal axes:"):
            report.cell, self._inside = [], self._axis_line
        elif text.startswith("site n.") and "alat units" in text:
            report.begin_frame("alat")
            self._inside = self._site_line
        elif text.startswith("cart. coord. in units 2pi/alat"):
            report.k_points, self._inside = [], self._k_line
        elif text.startswith("The initial density is read from file"):
            report.started_from_density = True
        elif text.startswith("Band Structure Calculation"):
            report.bands_begun = True

    def _axis_line(self, text: str) -> bool:
        found = _AXIS.match(text.strip())
        values = reals(found.group(1)) if found else []
        if len(values) != 3 or None in values or len(self.report.cell) >= 3:
            return False
        factor = (self.report.alat or 1.0) * BOHR_IN_ANGSTROM
        self.report.cell.append(tuple(v * factor for v in values if v is not None))
        return True

    def _site_line(self, text: str) -> bool:
        found = _SITE.match(text.strip())
        values = reals(found.group(2)) if found else []
        if found is None or len(values) != 3 or None in values:
            return False
        if len(self.report.atoms) < MAX_ATOMS_KEPT:
            row = (found.group(1)[:20], *(v for v in values if v is not None))
            self.report.atoms.append(row)
        return True

    def _k_line(self, text: str) -> bool:
        found = _K_POINT.match(text.strip())
        if found is None:
            return False
        if len(self.report.k_points) < MAX_K_POINTS:
            self.report.k_points.append((*reals(found.group(1))[:3], _first(found.group(2))))
        return True


def _bohr3(value: float | None) -> float | None:
    return None if value is None else value * BOHR_IN_ANGSTROM**3


def _seconds(text: str) -> float | None:
    found = _TIME.search(text)
    parts = found.groups() if found else ()
    if not any(parts):
        return None
    return sum(
        (real(part) or 0.0) * factor for part, factor in zip(parts, (86400, 3600, 60, 1)) if part
    )
