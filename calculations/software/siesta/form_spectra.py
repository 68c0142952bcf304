"""The part of the form that asks for bands, densities of states and charges, and raw lines."""

from __future__ import annotations

from calculations.software.parameters import Kind, Parameter

SPECTRA, MORE = "Bands, density of states, charges", "More"

BAND_LINES = """1   0.5 0.5 0.5  L
20  0.0 0.0 0.0  \\Gamma
20  0.0 0.5 0.5  X
"""


def _of_dos(
    name: str,
    label: str,
    default: float,
    span: tuple[float, float],
    *,
    kind: Kind = Kind.NUMBER,
    unit: str = "eV",
    keyword: str = "ProjectedDensityOfStates",
    help: str = "",
) -> Parameter:
    return Parameter(
        f"dos_{name}",
        label,
        kind,
        default,
        unit=unit,
        minimum=span[0],
        maximum=span[1],
        group=SPECTRA,
        advanced=True,
        keyword=keyword,
        help=help,
    )


OUTPUT: tuple[Parameter, ...] = (
    Parameter(
        "bands",
        "Bands",
        Kind.BOOLEAN,
        False,
        keyword="BandLines",
        group=SPECTRA,
        help="Needs a cell.",
    ),
    Parameter(
        "dos",
        "Density of states",
        Kind.BOOLEAN,
        False,
        keyword="ProjectedDensityOfStates",
        group=SPECTRA,
        help="In all, and of each element's shells.",
    ),
    Parameter(
        "charges",
        "Charges of the atoms",
        Kind.CHOICE,
        "none",
        group=SPECTRA,
        keyword="WriteMullikenPop, WriteHirshfeldPop",
        choices=(
            ("none", "not computed"),
            ("mulliken", "Mulliken"),
            ("hirshfeld", "Hirshfeld"),
            ("voronoi", "Voronoi"),
            ("all", "all three"),
        ),
    ),
    Parameter(
        "band_lines",
        "Path of the bands",
        Kind.TEXT,
        BAND_LINES,
        group=SPECTRA,
        lines=4,
        advanced=True,
        max_length=10_000,
        keyword="BandLines",
        help="Each line: number of points, a k-point in reciprocal lattice vectors, its name.",
    ),
    _of_dos("minimum", "From", -20.0, (-2000, 2000), help="On SIESTA's own scale of energies."),
    _of_dos("maximum", "To", 10.0, (-2000, 2000)),
    _of_dos("broadening", "Broadening", 0.2, (0.001, 5)),
    _of_dos("points", "Points", 500, (2, 10_000), kind=Kind.INTEGER, unit=""),
    _of_dos(
        "k_points",
        "k-points for the density of states",
        0,
        (0, 200),
        kind=Kind.INTEGER,
        unit="",
        keyword="PDOS.kgrid_Monkhorst_Pack",
        help="Along each direction that has several; 0 takes the grid above.",
    ),
    Parameter(
        "extra_fdf",
        "Further fdf lines",
        Kind.TEXT,
        "",
        group=MORE,
        lines=6,
        required=False,
        advanced=True,
        max_length=50_000,
        help="Raw input for SIESTA. Keywords that the form sets are refused here.",
    ),
)
