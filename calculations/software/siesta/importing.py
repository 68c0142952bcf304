"""A whole fdf file as values of the form: what corresponds is translated, the rest stays raw.

The atoms are read elsewhere. Keywords that the portal must set itself are refused by name and
line, and so is what the form cannot say. Where a file is silent, SIESTA's own defaults hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from calculations.software.base import InputRead
from calculations.software.siesta import fdf
from calculations.software.siesta.fdf import Document, Entry, FdfError, normalise
from calculations.software.siesta.importing_blocks import BLOCKS
from calculations.software.siesta.raw import is_owned, raise_all
from calculations.software.siesta.units import Refused, convert, truth, whole

Values = dict[str, Any]
# SIESTA's defaults where they are others than the form's.
SILENT: Values = {"functional": "LDA", "max_scf_iterations": 1000}
# Set by the portal in any case, or read with the atoms.
_DROPPED = """
SystemName NumberOfAtoms NumberOfSpecies ChemicalSpeciesLabel AtomicCoordinatesFormat
AtomicCoordinatesAndAtomicSpecies AtomicCoordinatesOrigin LatticeConstant LatticeVectors
LatticeParameters WriteForces WriteEigenvalues WriteMDHistory WriteMDXmol WriteCoorStep
MD.InitialTimeStep BandLinesScale XC.Functional XC.Authors Spin.Fix FixSpin
"""
DROPPED = frozenset(normalise(label) for label in _DROPPED.split())
SPINS = {
    "none": "non-polarized",
    "nonpolarized": "non-polarized",
    "nonpolarised": "non-polarized",
    "unpolarized": "non-polarized",
    "polarized": "polarized",
    "polarised": "polarized",
    "collinear": "polarized",
    "colinear": "polarized",
    "noncollinear": "non-colinear",
    "noncolinear": "non-colinear",
    "spinorbit": "spin-orbit",
    "so": "spin-orbit",
    "soc": "spin-orbit",
}
FUNCTIONALS = {
    "ca": "LDA",
    "pz": "LDA",
    "pw92": "PW92",
    "pbe": "PBE",
    "pbesol": "PBEsol",
    "revpbe": "revPBE",
    "rpbe": "RPBE",
    "wc": "WC",
    "lyp": "BLYP",
    "blyp": "BLYP",
    "drsll": "vdW-DF",
    "df1": "vdW-DF",
    "lmkll": "vdW-DF2",
    "df2": "vdW-DF2",
}
# Keyword: (parameter, unit that is meant where none stands there, unit of the form).
NUMBERS: dict[str, tuple[str, str, str]] = {
    "NetCharge": ("charge", "", ""),
    "Spin.Total": ("total_spin", "", ""),
    "TotalSpin": ("total_spin", "", ""),
    "MeshCutoff": ("mesh_cutoff", "Ry", "Ry"),
    "PAO.EnergyShift": ("energy_shift", "Ry", "Ry"),
    "PAO.SplitNorm": ("split_norm", "", ""),
    "SCF.DM.Tolerance": ("scf_tolerance", "", ""),
    "DM.Tolerance": ("scf_tolerance", "", ""),
    "SCF.H.Tolerance": ("hamiltonian_tolerance", "eV", "eV"),
    "SCF.Mixer.Weight": ("mixing_weight", "", ""),
    "DM.MixingWeight": ("mixing_weight", "", ""),
    "SCF.Mixer.Kick.Weight": ("kick_weight", "", ""),
    "DM.KickMixingWeight": ("kick_weight", "", ""),
    "ElectronicTemperature": ("electronic_temperature", "K", "K"),
    "MD.MaxForceTol": ("force_tolerance", "eV/Ang", "eV/Ang"),
    "MD.MaxStressTol": ("stress_tolerance", "GPa", "GPa"),
    "MD.MaxCGDispl": ("max_displacement", "Bohr", "Bohr"),
    "MD.MaxDispl": ("max_displacement", "Bohr", "Bohr"),
    "MD.TargetPressure": ("pressure", "GPa", "GPa"),
    "MD.LengthTimeStep": ("time_step", "fs", "fs"),
    "MD.InitialTemperature": ("initial_temperature", "K", "K"),
    "MD.TargetTemperature": ("target_temperature", "K", "K"),
    "MD.TauRelax": ("relaxation_time", "fs", "fs"),
    "MD.NoseMass": ("nose_mass", "Ry*fs**2", "Ry*fs**2"),
    "MD.ParrinelloRahmanMass": ("cell_mass", "Ry*fs**2", "Ry*fs**2"),
}
COUNTS = {
    "MaxSCFIterations": "max_scf_iterations",
    "SCF.Mixer.History": "mixing_history",
    "SCF.Mixer.Kick": "kick",
    "DM.NumberKick": "kick",
    "OccupationMPOrder": "occupation_order",
    "MD.NumCGsteps": "max_steps",
    "MD.Steps": "max_steps",
    "MD.FinalTimeStep": "max_steps",
}
TRUTHS = {
    "Slab.DipoleCorrection": "slab_dipole",
    "MD.VariableCell": "variable_cell",
    "TS.HS.Save": "save_hamiltonian",
}
WORDS: dict[str, tuple[str, dict[str, str]]] = {
    "Spin": ("spin", SPINS),
    "SCF.Mix": (
        "mixed",
        {"hamiltonian": "Hamiltonian", "h": "Hamiltonian", "density": "density", "dm": "density"},
    ),
    "SCF.Mixer.Method": (
        "mixing_method",
        {"pulay": "Pulay", "broyden": "Broyden", "linear": "linear"},
    ),
    "OccupationFunction": ("occupation", {"fd": "FD", "mp": "MP"}),
    "PAO.BasisSize": (
        "basis_size",
        {
            "sz": "SZ", "szp": "SZP", "dz": "DZ", "dzp": "DZP", "tz": "TZ", "tzp": "TZP",
            "minimal": "SZ", "standard": "DZP",
        },
    ),
    "MD.TypeOfRun": (
        "run_type",
        {
            "cg": "CG", "broyden": "Broyden", "fire": "FIRE", "verlet": "Verlet", "nose": "Nose",
            "parrinellorahman": "ParrinelloRahman", "anneal": "Anneal",
            "noseparrinellorahman": "NoseParrinelloRahman",
        },
    ),
    "MD.AnnealOption": (
        "anneal",
        {
            "temperature": "Temperature", "pressure": "Pressure",
            "temperatureandpressure": "TemperatureandPressure",
        },
    ),
    "SystemLabel": ("system_label", {}),
}  # fmt: skip
POPULATIONS = {
    "WriteMullikenPop": "mulliken",
    "WriteHirshfeldPop": "hirshfeld",
    "WriteVoronoiPop": "voronoi",
}
SPIN_SWITCHES = {
    "SpinPolarized": "polarized",
    "NonCollinearSpin": "non-colinear",
    "SpinOrbit": "spin-orbit",
}


def read_input(text: str) -> InputRead:
    """Raises FdfError that names every keyword at fault with its line."""
    document = fdf.read(text)
    values: Values = dict(SILENT)
    raw: list[Entry] = []
    refused: list[tuple[int, str]] = []
    for entry in document:
        try:
            if entry.include:
                raise Refused(f"reads the file {entry.include[:80]!r}; write its lines here")
            _take(entry, values, raw)
        except (Refused, FdfError) as error:
            words = error.text if isinstance(error, FdfError) else str(error)
            refused.append((entry.line, f"{entry.label} {words}"))
    try:
        notes = _together(document, values)
    except (FdfError, Refused) as error:
        line, words = (error.line, error.text) if isinstance(error, FdfError) else (0, str(error))
        refused.append((line, words))
        notes = []
    raise_all(sorted(refused))
    if raw:
        values["extra_fdf"] = fdf.write(raw)
        notes.append(f"Kept as raw lines: {', '.join(entry.label for entry in raw)}.")
    return InputRead(values, tuple(notes))


def _take(entry: Entry, values: Values, raw: list[Entry]) -> None:
    reader = READERS.get(entry.key)
    if reader is not None:
        reader(entry, values)
    elif entry.key in DROPPED:
        return
    elif is_owned(entry.key):
        raise Refused("is set by the portal; remove it here")
    else:
        raw.append(entry)


def _number(name: str, meant: str, unit: str) -> Callable[[Entry, Values], None]:
    def read(entry: Entry, values: Values) -> None:
        values[name] = convert(entry.words, meant, unit)

    return read


def _count(name: str) -> Callable[[Entry, Values], None]:
    def read(entry: Entry, values: Values) -> None:
        values[name] = whole(entry.words)

    return read


def _truth(name: str) -> Callable[[Entry, Values], None]:
    def read(entry: Entry, values: Values) -> None:
        values[name] = truth(entry.words)

    return read


def _word(name: str, known: dict[str, str]) -> Callable[[Entry, Values], None]:
    def read(entry: Entry, values: Values) -> None:
        if not entry.words:
            raise Refused("has no value")
        said = entry.words[0]
        if known and normalise(said) not in known:
            raise Refused(f"is {said[:30]!r}, which the form does not offer")
        values[name] = known[normalise(said)] if known else said

    return read


def _population(name: str) -> Callable[[Entry, Values], None]:
    def read(entry: Entry, values: Values) -> None:
        said = entry.words[0] if entry.words else "T"
        if int(said) > 0 if said.isdecimal() else truth(entry.words):
            before = values.get("charges", "none")
            values["charges"] = name if before in ("none", name) else "all"

    return read


def _spin_switch(name: str) -> Callable[[Entry, Values], None]:
    def read(entry: Entry, values: Values) -> None:
        if truth(entry.words):
            values["spin"] = name

    return read


def _pulay(entry: Entry, values: Values) -> None:
    """The old keywords: the number of steps says the method too."""
    count = whole(entry.words)
    if count > 0:
        values["mixing_history"] = count
    method = "Broyden" if entry.key == normalise("DM.NumberBroyden") else "Pulay"
    values["mixing_method"] = method if count > 0 else "linear"


def _solution(entry: Entry, values: Values) -> None:
    if not entry.words or entry.words[0].lower() not in ("diagon", "diagonalization"):
        raise Refused("is another than diagon; electrodes are set up in the form")


READERS: dict[str, Callable[[Entry, Values], None]] = {
    **{normalise(k): _number(*v) for k, v in NUMBERS.items()},
    **{normalise(k): _count(v) for k, v in COUNTS.items()},
    **{normalise(k): _truth(v) for k, v in TRUTHS.items()},
    **{normalise(k): _word(*v) for k, v in WORDS.items()},
    **{normalise(k): _population(v) for k, v in POPULATIONS.items()},
    **{normalise(k): _spin_switch(v) for k, v in SPIN_SWITCHES.items()},
    normalise("DM.NumberPulay"): _pulay,
    normalise("DM.NumberBroyden"): _pulay,
    normalise("SolutionMethod"): _solution,
    **{normalise(k): v for k, v in BLOCKS.items()},
}


def _together(document: Document, values: Values) -> list[str]:
    """What several keywords say together; return what the reader should know."""
    notes = []
    authors = document.get("XC.Authors")
    if authors is not None and authors.words:
        functional = FUNCTIONALS.get(normalise(authors.words[0]))
        if functional is None:
            raise FdfError(authors.line, f"XC.Authors {authors.words[0][:30]} is not in the form")
        values["functional"] = functional
    else:
        notes.append("The file names no functional: SIESTA's own, LDA (CA), holds.")
    fixed = document.get("Spin.Fix") or document.get("FixSpin")
    if "total_spin" in values and not (fixed and truth(fixed.words)):
        del values["total_spin"]
    if values.get("run_type", "none") != "none" and values.get("max_steps", 0) < 1:
        values["run_type"] = "none"
    elif "max_steps" in values and values["max_steps"] > 0:
        values.setdefault("run_type", "CG")
    if values.get("max_steps") == 0:
        del values["max_steps"]
    scale = document.get("BandLinesScale")
    lines = document.get("BandLines")
    if lines is not None and normalise(scale.value if scale else "") != "reciprocallatticevectors":
        raise FdfError(
            lines.line,
            "BandLines are in pi/a; write them in ReciprocalLatticeVectors (BandLinesScale)",
        )
    labels = document.get("ChemicalSpeciesLabel")
    for words in map(fdf.split, labels.rows or () if labels else ()):
        if len(words) > 2 and not words[2].isalpha():
            notes.append(f"The species {words[2][:20]} goes by its chemical symbol here.")
    return notes
