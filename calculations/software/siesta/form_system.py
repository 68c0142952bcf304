"""The part of the form that says what is computed: structure, charge and spin."""

from __future__ import annotations

from calculations.software.parameters import Kind, Parameter
from calculations.software.structure import WATER

STRUCTURE = "Structure"

SYSTEM: tuple[Parameter, ...] = (
    Parameter(
        "structure",
        "Structure",
        Kind.TEXT,
        WATER,
        unit="Å",
        group=STRUCTURE,
        lines=8,
        keyword="AtomicCoordinatesAndAtomicSpecies",
        help="xyz: one atom on each line, symbol x y z.",
    ),
    Parameter(
        "cell",
        "Cell",
        Kind.TEXT,
        "",
        unit="Å",
        group=STRUCTURE,
        lines=3,
        required=False,
        max_length=2000,
        keyword="LatticeVectors",
        help="Three vectors, or the edges of a box. Empty: SIESTA makes a box for a molecule.",
    ),
    Parameter(
        "system_label",
        "System label",
        Kind.TEXT,
        "siesta",
        group=STRUCTURE,
        max_length=60,
        advanced=True,
        keyword="SystemLabel",
        help="Begins the names of SIESTA's files: letters, digits, - and _.",
    ),
    Parameter(
        "charge",
        "Charge",
        Kind.NUMBER,
        0.0,
        unit="e",
        minimum=-50,
        maximum=50,
        keyword="NetCharge",
        group=STRUCTURE,
        sweepable=True,
        help="Net charge; +1 for a cation.",
    ),
    Parameter(
        "spin",
        "Spin",
        Kind.CHOICE,
        "non-polarized",
        keyword="Spin",
        group=STRUCTURE,
        choices=(
            ("non-polarized", "not polarised"),
            ("polarized", "polarised (collinear)"),
            ("non-colinear", "non-collinear"),
            ("spin-orbit", "with spin-orbit coupling"),
        ),
        sweepable=True,
    ),
    Parameter(
        "total_spin",
        "Total spin, fixed",
        Kind.NUMBER,
        None,
        minimum=-1000,
        maximum=1000,
        keyword="Spin.Total",
        group=STRUCTURE,
        required=False,
        advanced=True,
        sweepable=True,
        help="Electrons of one spin more than of the other. Empty: it finds its own.",
    ),
    Parameter(
        "initial_spin",
        "Initial spins",
        Kind.TEXT,
        "",
        keyword="DM.InitSpin",
        group=STRUCTURE,
        lines=3,
        required=False,
        advanced=True,
        max_length=50_000,
        help="Each line: an atom's number and its spin, or + or -; behind it two angles (degrees) "
        "where spins are not collinear. Empty: ferromagnetic.",
    ),
)
