"""What a scientist may set for PySCF, in the order of the form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calculations.software.parameters import InvalidParameters, Kind, Parameter
from calculations.software.structure import Structure, StructureError, read_xyz

STRUCTURE, METHOD, FIELD, SCF, OUTPUT = (
    "Structure",
    "Method",
    "Electric field",
    "Self-consistency",
    "Results",
)
MAX_ATOMS = 200
# Its axis is z, so that the dipole and a field along z are parallel.
WATER = """3
water
O   0.000   0.000   0.000
H   0.000   0.757   0.586
H   0.000  -0.757   0.586
"""
BASES = (
    ("sto-3g", "STO-3G"),
    ("6-31g", "6-31G"),
    ("6-31g*", "6-31G*"),
    ("6-311++g**", "6-311++G**"),
    ("cc-pvdz", "cc-pVDZ"),
    ("cc-pvtz", "cc-pVTZ"),
    ("aug-cc-pvdz", "aug-cc-pVDZ"),
    ("def2-svp", "def2-SVP"),
    ("def2-tzvp", "def2-TZVP"),
    ("def2-tzvpp", "def2-TZVPP"),
)
FUNCTIONALS = (
    ("HF", "Hartree-Fock"),
    ("LDA", "LDA (Slater, VWN)"),
    ("PBE", "PBE"),
    ("BLYP", "BLYP"),
    ("TPSS", "TPSS"),
    ("PBE0", "PBE0"),
    ("B3LYP", "B3LYP"),
    ("wB97X-V", "ωB97X-V, without its dispersion"),
)
FIELDS = ("field_x", "field_y", "field_z")


def _field(axis: str) -> Parameter:
    return Parameter(
        f"field_{axis}",
        f"Electric field, {axis}",
        Kind.NUMBER,
        0.0,
        unit="a.u.",
        minimum=-0.2,
        maximum=0.2,
        help="1 a.u. is 51.42 V/Å.",
        group=FIELD,
        sweepable=True,
    )


PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "geometry",
        "Geometry",
        Kind.TEXT,
        WATER,
        unit="Å",
        lines=12,
        help="One atom a line: symbol x y z. The two lines of an xyz file's head may stand before.",
        keyword="atom",
        group=STRUCTURE,
    ),
    Parameter(
        "charge",
        "Charge",
        Kind.INTEGER,
        0,
        unit="e",
        minimum=-20,
        maximum=20,
        keyword="charge",
        group=STRUCTURE,
        sweepable=True,
    ),
    Parameter(
        "spin",
        "Unpaired electrons",
        Kind.INTEGER,
        0,
        minimum=0,
        maximum=20,
        help="The multiplicity less one.",
        keyword="spin",
        group=STRUCTURE,
        sweepable=True,
    ),
    Parameter(
        "functional",
        "Functional",
        Kind.CHOICE,
        "PBE",
        choices=FUNCTIONALS,
        keyword="xc",
        group=METHOD,
        sweepable=True,
    ),
    Parameter(
        "basis",
        "Basis",
        Kind.CHOICE,
        "def2-svp",
        choices=BASES,
        keyword="basis",
        group=METHOD,
        sweepable=True,
    ),
    Parameter(
        "density_fitting",
        "Density fitting",
        Kind.BOOLEAN,
        False,
        help="Faster for large molecules; the energy changes by some 0.1 mHa.",
        keyword="density_fit",
        group=METHOD,
        sweepable=True,
    ),
    _field("x"),
    _field("y"),
    _field("z"),
    Parameter(
        "convergence",
        "Convergence of the energy",
        Kind.NUMBER,
        1e-9,
        unit="Ha",
        minimum=1e-13,
        maximum=1e-3,
        keyword="conv_tol",
        group=SCF,
        advanced=True,
    ),
    Parameter(
        "max_cycles",
        "SCF iterations at most",
        Kind.INTEGER,
        50,
        minimum=1,
        maximum=1000,
        keyword="max_cycle",
        group=SCF,
        advanced=True,
    ),
    Parameter(
        "forces",
        "Forces",
        Kind.BOOLEAN,
        False,
        help="Only without an electric field.",
        group=OUTPUT,
    ),
)


def structure_of(parameters: Mapping[str, Any]) -> Structure:
    return read_xyz(str(parameters["geometry"]))


def validate(parameters: Mapping[str, Any]) -> None:
    """Check what concerns several parameters together. Raises InvalidParameters."""
    errors: dict[str, str] = {}
    try:
        structure = structure_of(parameters)
    except StructureError as error:
        raise InvalidParameters({"geometry": str(error)}) from None
    if len(structure.atoms) > MAX_ATOMS:
        errors["geometry"] = f"has {len(structure.atoms)} atoms; at most {MAX_ATOMS} are allowed"
    electrons = sum(atom.number for atom in structure.atoms) - parameters["charge"]
    spin = parameters["spin"]
    if electrons < 1:
        errors["charge"] = "leaves no electron; lower it"
    elif spin > electrons:
        errors["spin"] = f"is more than the {electrons} electrons that there are"
    elif (electrons - spin) % 2:
        word = "an even" if electrons % 2 == 0 else "an odd"
        errors["spin"] = f"must be {word} number for {electrons} electrons; or change the charge"
    if parameters["forces"] and any(parameters[name] for name in FIELDS):
        errors["forces"] = "are not available under an electric field; switch one of them off"
    if errors:
        raise InvalidParameters(errors)
