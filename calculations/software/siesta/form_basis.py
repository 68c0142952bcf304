"""The part of the form that says with which orbitals, grid, functional and k-points."""

from __future__ import annotations

from calculations.software.parameters import Kind, Parameter

BASIS, SAMPLING = "Basis and functional", "k-points"

FUNCTIONALS = {
    "PBE": ("GGA", "PBE"),
    "PBEsol": ("GGA", "PBEsol"),
    "revPBE": ("GGA", "revPBE"),
    "RPBE": ("GGA", "RPBE"),
    "BLYP": ("GGA", "LYP"),
    "WC": ("GGA", "WC"),
    "LDA": ("LDA", "CA"),
    "PW92": ("LDA", "PW92"),
    "vdW-DF": ("VDW", "DRSLL"),
    "vdW-DF2": ("VDW", "LMKLL"),
}
SIZES = ("SZ", "SZP", "DZ", "DZP", "TZ", "TZP")


def _choices(*values: str) -> tuple[tuple[str, str], ...]:
    return tuple((value, value) for value in values)


def _k_points(name: str, vector: str) -> Parameter:
    return Parameter(
        name,
        f"k-points along {vector}",
        Kind.INTEGER,
        1,
        minimum=1,
        maximum=100,
        keyword="kgrid_Monkhorst_Pack",
        group=SAMPLING,
        sweepable=True,
        help="1 for a molecule, or along a direction without periodicity.",
    )


BASIS_SET: tuple[Parameter, ...] = (
    Parameter(
        "basis_size",
        "Basis",
        Kind.CHOICE,
        "DZP",
        keyword="PAO.BasisSize",
        group=BASIS,
        choices=_choices(*SIZES),
        sweepable=True,
        help="DZP is the usual compromise; SZ only for first looks.",
    ),
    Parameter(
        "mesh_cutoff",
        "Mesh cutoff",
        Kind.NUMBER,
        200.0,
        unit="Ry",
        minimum=20,
        maximum=3000,
        keyword="MeshCutoff",
        group=BASIS,
        sweepable=True,
        help="Fineness of the real-space grid; raise it until energies and forces stop changing.",
    ),
    Parameter(
        "energy_shift",
        "Energy shift",
        Kind.NUMBER,
        0.02,
        unit="Ry",
        minimum=0.0001,
        maximum=0.1,
        keyword="PAO.EnergyShift",
        group=BASIS,
        sweepable=True,
        advanced=True,
        help="Confinement of the orbitals; a smaller shift gives longer and better orbitals.",
    ),
    Parameter(
        "split_norm",
        "Split norm",
        Kind.NUMBER,
        0.15,
        minimum=0.01,
        maximum=0.9,
        keyword="PAO.SplitNorm",
        group=BASIS,
        sweepable=True,
        advanced=True,
        help="Norm of the tail that the second zeta splits off.",
    ),
    Parameter(
        "basis_sizes",
        "Basis of single elements",
        Kind.TEXT,
        "",
        keyword="PAO.BasisSizes",
        group=BASIS,
        lines=2,
        required=False,
        advanced=True,
        max_length=5000,
        help="Each line: an element and its basis, such as O TZP; the others take the basis above.",
    ),
    Parameter(
        "basis_block",
        "Own orbitals",
        Kind.TEXT,
        "",
        keyword="PAO.Basis",
        group=BASIS,
        lines=4,
        required=False,
        advanced=True,
        max_length=50_000,
        help="The rows of a block PAO.Basis, element by element.",
    ),
    Parameter(
        "functional",
        "Functional",
        Kind.CHOICE,
        "PBE",
        keyword="XC.Authors",
        group=BASIS,
        choices=_choices(*FUNCTIONALS),
        help="Choose pseudopotentials that were made with the same functional.",
    ),
    Parameter(
        "pseudo_format",
        "Pseudopotential files",
        Kind.CHOICE,
        "psf",
        group=BASIS,
        advanced=True,
        choices=(("psf", "psf"), ("psml", "psml (SIESTA with psml support)")),
        help="One file for each element, such as O.psf.",
    ),
    _k_points("k_points_a", "a"),
    _k_points("k_points_b", "b"),
    _k_points("k_points_c", "c"),
    Parameter(
        "k_shift",
        "Shift of the grid",
        Kind.NUMBER,
        0.0,
        minimum=0,
        maximum=0.5,
        group=SAMPLING,
        advanced=True,
        keyword="kgrid_Monkhorst_Pack",
        help="0.5 moves the grid off the Γ point in directions with several k-points.",
    ),
    Parameter(
        "k_grid",
        "Own grid",
        Kind.TEXT,
        "",
        group=SAMPLING,
        lines=3,
        required=False,
        advanced=True,
        max_length=1000,
        keyword="kgrid_Monkhorst_Pack",
        help="Three lines of three whole numbers and a shift, instead of the numbers above.",
    ),
)
