"""The part of the form that puts a system under a field or between two electrodes (TranSiesta)."""

from __future__ import annotations

from calculations.software.parameters import Kind, Parameter

FIELD, TRANSIESTA = "Electric field", "TranSiesta"


def _field(axis: str) -> Parameter:
    return Parameter(
        f"field_{axis}",
        f"External field, {axis}",
        Kind.NUMBER,
        0.0,
        unit="V/Å",
        minimum=-5,
        maximum=5,
        keyword="ExternalElectricField",
        group=FIELD,
        sweepable=True,
        help="Uniform field; SIESTA applies it only along directions without periodicity.",
    )


def _electrode(side: str) -> Parameter:
    return Parameter(
        f"electrode_{side}",
        f"{side.capitalize()} electrode",
        Kind.TEXT,
        f"{side}.TSHS",
        keyword="TS.Elec",
        group=TRANSIESTA,
        required=False,
        advanced=True,
        max_length=100,
        help="File of its Hamiltonian, from a run that saved it; upload it with the calculation.",
    )


SURROUNDINGS: tuple[Parameter, ...] = (
    _field("x"),
    _field("y"),
    _field("z"),
    Parameter(
        "slab_dipole",
        "Dipole correction of a slab",
        Kind.BOOLEAN,
        False,
        keyword="Slab.DipoleCorrection",
        group=FIELD,
        advanced=True,
        help="Removes the field between the images of a slab that has a dipole.",
    ),
    Parameter(
        "transiesta",
        "Between two electrodes",
        Kind.BOOLEAN,
        False,
        keyword="SolutionMethod",
        group=TRANSIESTA,
        advanced=True,
        help="An open system, by Green's functions; needs a cluster that has TranSiesta.",
    ),
    Parameter(
        "bias",
        "Bias",
        Kind.NUMBER,
        0.0,
        unit="V",
        minimum=-20,
        maximum=20,
        keyword="TS.Voltage",
        group=TRANSIESTA,
        advanced=True,
        sweepable=True,
        help="Between the left and the right electrode.",
    ),
    _electrode("left"),
    _electrode("right"),
    Parameter(
        "transport_axis",
        "Electrodes lie along",
        Kind.CHOICE,
        "a3",
        keyword="TS.Elec",
        group=TRANSIESTA,
        advanced=True,
        choices=(("a1", "a"), ("a2", "b"), ("a3", "c")),
        help="The atoms of the left electrode stand first in the structure, of the right one last.",
    ),
    Parameter(
        "save_hamiltonian",
        "Save the Hamiltonian",
        Kind.BOOLEAN,
        False,
        keyword="TS.HS.Save",
        group=TRANSIESTA,
        advanced=True,
        help="Makes the TSHS file of an electrode.",
    ),
)
