"""What pw.x printed, as data. Energies in Ry, levels in eV, lengths in Å, forces in Ry/Bohr."""

from __future__ import annotations

from dataclasses import dataclass, field

from calculations.software.reading import Thinned

RYDBERG_IN_EV = 13.605693122994
BOHR_IN_ANGSTROM = 0.529177210903
FORCE_IN_EV_PER_ANGSTROM = RYDBERG_IN_EV / BOHR_IN_ANGSTROM
MAX_ATOMS_KEPT = 5000
MAX_FRAMES_KEPT = 200
MAX_K_POINTS = 5000
MAX_LEVELS_KEPT = 200_000
MAX_ERRORS = 20

Place = tuple[str, float, float, float]  # symbol, x, y, z


@dataclass(frozen=True)
class ScfStep:
    """One SCF iteration of one geometry, the `number`-th of the output."""

    number: int
    geometry: int
    iteration: int
    energy: float | None = None
    accuracy: float | None = None


@dataclass
class GeometryStep:
    """One geometry: how its SCF went, its energy and its forces.

    `final` is the last SCF of an optimised cell: other plane waves, not to compare with the steps.
    """

    number: int
    iterations: int = 0
    converged: bool = False
    energy: float | None = None
    max_force: float | None = None
    total_force: float | None = None
    pressure: float | None = None
    final: bool = False


@dataclass(frozen=True)
class Line:
    """A line of the output that a verdict may quote."""

    number: int
    text: str


@dataclass
class ErrorBox:
    """The box of percent signs in which pw.x says why it stops."""

    head: Line
    text: str = ""

    @property
    def routine(self) -> str:
        """The name of the routine, in small letters, without its error code."""
        words = self.head.text[len("Error in routine") :].partition("(")[0].split()
        return words[0].lower() if words else ""


@dataclass(frozen=True)
class Levels:
    """The eigenvalues (eV) of one k-point (2π/alat, four digits) and one spin (1 or 2)."""

    spin: int
    k: tuple[float | None, ...]
    energies: tuple[float | None, ...]


@dataclass(frozen=True)
class Frame:
    """A geometry in the units in which it was printed; the lists fill while it is read."""

    unit: str
    atoms: list[Place]
    cell: list[tuple[float, ...]]
    alat: float | None

    @property
    def places(self) -> list[Place]:
        """The atoms in Å; none where the unit needs a cell that is not known."""
        unit = self.unit.partition("=")[0].strip() or "alat"
        if unit == "crystal":
            return self._from_crystal() if len(self.cell) == 3 else []
        lengths = {"angstrom": 1.0, "bohr": BOHR_IN_ANGSTROM}
        if self.alat is not None:
            lengths["alat"] = self.alat * BOHR_IN_ANGSTROM
        factor = lengths.get(unit)
        if factor is None:
            return []
        return [(symbol, x * factor, y * factor, z * factor) for symbol, x, y, z in self.atoms]

    def _from_crystal(self) -> list[Place]:
        a, b, c = self.cell
        found = []
        for symbol, *parts in self.atoms:
            u, v, w = parts
            x, y, z = (u * a[i] + v * b[i] + w * c[i] for i in range(3))
            found.append((symbol, x, y, z))
        return found


@dataclass
class Report:
    """Of several programs in one output, what the last of them said, but for the sums."""

    lines_read: int = 0
    version: str = ""
    programs: int = 0
    done: list[Line] = field(default_factory=list)
    scf: Thinned[ScfStep] = field(default_factory=lambda: Thinned(4000))
    geometries: Thinned[GeometryStep] = field(default_factory=lambda: Thinned(4000))
    iterations_begun: int = 0
    scf_converged: Line | None = None
    scf_failed: Line | None = None
    energy: float | None = None
    energy_line: Line | None = None
    terms: dict[str, float] = field(default_factory=dict)
    optimisation: bool = False
    relaxed: Line | None = None
    unrelaxed: Line | None = None
    force_tolerance: float | None = None
    final_scf: bool = False
    bands_begun: bool = False
    bands_ended: Line | None = None
    errors: list[ErrorBox] = field(default_factory=list)
    started_from_density: bool = False
    electrons: float | None = None
    states: int | None = None
    mixing_beta: float | None = None
    nstep: int | None = None
    fermi: float | None = None
    homo: float | None = None
    lumo: float | None = None
    magnetization: float | None = None
    absolute_magnetization: float | None = None
    forces: list[tuple[float | None, ...]] = field(default_factory=list)
    total_force: float | None = None
    stress: list[tuple[float | None, ...]] = field(default_factory=list)
    pressure: float | None = None
    alat: float | None = None
    volume: float | None = None
    cell: list[tuple[float, ...]] = field(default_factory=list)
    atoms: list[tuple[str, float, float, float]] = field(default_factory=list)
    positions_unit: str = "alat"
    k_points: list[tuple[float | None, ...]] = field(default_factory=list)
    levels: list[Levels] = field(default_factory=list)
    band_levels: list[Levels] = field(default_factory=list)
    wall_seconds: float | None = None

    frames: Thinned[Frame] = field(default_factory=lambda: Thinned(MAX_FRAMES_KEPT, recent=1))

    @property
    def positions(self) -> list[Place]:
        """The atoms in Å; none where the unit needs a cell that is not known."""
        return self._frame().places

    def begin_frame(self, unit: str) -> None:
        """Forget the atoms, and note the place of those that are read next."""
        self.positions_unit, self.atoms = unit, []
        self.frames.append(self._frame())

    def _frame(self) -> Frame:
        return Frame(self.positions_unit, self.atoms, self.cell, self.alat)
