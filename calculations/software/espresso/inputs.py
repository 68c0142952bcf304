"""From checked parameters to the input files of pw.x, and the checks that concern several of them.

Bands take two steps with one folder: scf.in, then bands.in. `carried` names the density of the run
before, from which a chained run starts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from calculations.software.espresso.form_system import FUNCTIONALS, LATTICES
from calculations.software.espresso.namelists import (
    Card,
    Document,
    Namelist,
    NamelistError,
    Setting,
    Value,
    write,
)
from calculations.software.espresso.raw import read_extra
from calculations.software.structure import (
    ATOMIC_NUMBERS,
    LEAST_DISTANCE,
    Structure,
    Vector,
    read_cell,
    read_xyz,
)

INPUT, SCF_INPUT, BANDS_INPUT = "input.in", "scf.in", "bands.in"
PREFIX = "espresso"
DENSITY = f"{PREFIX}.save/charge-density.dat"
OPTIMISATIONS = ("relax", "vc-relax")
LEAST_RELATIVE_DISTANCE = 0.001
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}", re.ASCII)

Settings = dict[str, Value]


def structure_of(parameters: Mapping[str, Any]) -> Structure:
    relative = parameters["units"] != "angstrom"
    least = LEAST_RELATIVE_DISTANCE if relative else LEAST_DISTANCE
    return read_xyz(str(parameters["structure"]), least_distance=least)


def cell_of(parameters: Mapping[str, Any], structure: Structure) -> tuple[Vector, ...] | None:
    """The vectors entered (Å), else those of the extended xyz, else None; without the scale."""
    text = str(parameters.get("cell") or "")
    return read_cell(text) if text.strip() else structure.cell


def read_species(text: str) -> dict[str, tuple[int, str]]:
    """Read lines of an element and a word, as {symbol: (line, word)}. Raises NamelistError."""
    found: dict[str, tuple[int, str]] = {}
    for line, raw in enumerate(text.splitlines(), start=1):
        words = raw.split()
        if not words:
            continue
        symbol = words[0].capitalize()
        if len(words) != 2 or symbol not in ATOMIC_NUMBERS:
            raise NamelistError(line, "must be a chemical symbol and one word behind it")
        if symbol in found:
            raise NamelistError(line, f"{symbol} stands already in line {found[symbol][0]}")
        found[symbol] = (line, words[1])
    return found


def pseudo_files(parameters: Mapping[str, Any], structure: Structure) -> dict[str, str]:
    """Return {symbol: file name}. Raises NamelistError for a name that could leave the folder."""
    listed = read_species(str(parameters["pseudo_files"] or ""))
    files = {}
    for symbol in structure.species:
        pattern = str(parameters["pseudo_pattern"])
        line, name = listed.get(symbol, (0, pattern.replace("{element}", symbol)))
        if FILE_NAME.fullmatch(name) is None or ".." in name:
            raise NamelistError(
                line, f"{name[:60]!r} is no file name; letters, digits and . _ + - are allowed"
            )
        files[symbol] = name
    return files


def read_path(text: str) -> list[tuple[tuple[float, ...], int, str]]:
    """Read the path of the bands as (k-point, points to the next, label). Raises NamelistError."""
    rows = []
    for line, raw in enumerate(text.splitlines(), start=1):
        words = raw.split()
        if not words:
            continue
        shape = r"([-+]?(\d+\.?\d*|\.\d+)\s+){3}\d{1,4}(\s+[\\\w']{1,20})?"
        if len(raw) > 200 or re.fullmatch(shape, " ".join(words), re.ASCII) is None:
            raise NamelistError(
                line,
                "must be three coordinates, a number of points, and a name: 0.5 0.5 0.5 20 L",
            )
        point = tuple(float(word) for word in words[:3])
        rows.append((point, max(1, int(words[3])), " ".join(words[4:])))
    if len(rows) < 2:
        raise NamelistError(0, "a path needs at least two k-points")
    return rows


def render(parameters: Mapping[str, Any], carried: Sequence[str] = ()) -> dict[str, str]:
    """Return {name: text}; the same parameters always give the same text."""
    if parameters["calculation"] != "bands":
        return {INPUT: write(_document(parameters, parameters["calculation"], carried))}
    return {
        SCF_INPUT: write(_document(parameters, "scf", carried)),
        BANDS_INPUT: write(_document(parameters, "bands", ())),
    }


def _document(parameters: Mapping[str, Any], task: str, carried: Sequence[str]) -> Document:
    structure = structure_of(parameters)
    extra = read_extra(parameters["extra_input"])
    parts: list[tuple[str, Settings]] = [
        ("CONTROL", _control(parameters, task)),
        ("SYSTEM", _system(parameters, structure)),
        ("ELECTRONS", _electrons(parameters, carried)),
    ]
    if task in OPTIMISATIONS:
        parts.append(("IONS", {"ion_dynamics": "bfgs"}))
    if task == "vc-relax":
        parts.append(("CELL", _cell_freedom(parameters)))
    raw = {namelist.name: namelist.settings for namelist in extra.namelists}
    namelists = tuple(
        Namelist(name, (*(Setting(*item) for item in settings.items()), *raw.pop(name, ())))
        for name, settings in parts
    )
    cards = (*_atoms(parameters, structure), _k_points(parameters, task), *extra.cards)
    return Document(namelists, cards)


def _control(parameters: Mapping[str, Any], task: str) -> Settings:
    settings: Settings = {
        "calculation": task,
        "prefix": PREFIX,
        "outdir": "./",
        "disk_io": "nowf" if task == "bands" else "low",
    }
    if parameters["pseudopotentials"] == "uploaded":
        settings["pseudo_dir"] = "./"
    if parameters["calculation"] == "bands":  # else no levels are printed of 100 k-points or more
        settings["verbosity"] = "high"
    if task == "bands":
        return settings
    settings["tprnfor"] = True
    if task != "vc-relax":
        settings["tstress"] = bool(parameters["stress"])
    if task in OPTIMISATIONS:
        settings["nstep"] = int(parameters["nstep"])
        settings["etot_conv_thr"] = float(parameters["energy_tolerance"])
        settings["forc_conv_thr"] = float(parameters["force_tolerance"])
    return settings


def _system(parameters: Mapping[str, Any], structure: Structure) -> Settings:
    number, ratios = LATTICES[parameters["lattice"]]
    settings: Settings = {"ibrav": number}
    if number:
        settings["celldm(1)"] = _length(float(parameters["celldm"]) * float(parameters["scale"]))
    for name in ratios:
        index = {"b_over_a": 2, "c_over_a": 3}[name]
        settings[f"celldm({index})"] = float(parameters[name])
    settings["nat"] = len(structure.atoms)
    settings["ntyp"] = len(structure.species)
    settings["ecutwfc"] = float(parameters["ecutwfc"])
    if parameters["ecutrho"]:
        settings["ecutrho"] = float(parameters["ecutrho"])
    if parameters["functional"] != "pseudopotential":
        settings["input_dft"] = FUNCTIONALS[parameters["functional"]]
    if parameters["charge"]:
        settings["tot_charge"] = float(parameters["charge"])
    settings["occupations"] = parameters["occupations"]
    if parameters["occupations"] == "smearing":
        settings["smearing"] = parameters["smearing"]
        settings["degauss"] = float(parameters["degauss"])
    if parameters["bands_computed"]:
        settings["nbnd"] = int(parameters["bands_computed"])
    return {**settings, **_spin(parameters, structure)}


def _spin(parameters: Mapping[str, Any], structure: Structure) -> Settings:
    if parameters["spin"] != "2":
        return {}
    settings: Settings = {"nspin": 2}
    if parameters["total_magnetization"] is not None:
        settings["tot_magnetization"] = float(parameters["total_magnetization"])
    started = read_species(str(parameters["magnetization"] or ""))
    for place, symbol in enumerate(structure.species, start=1):
        if symbol in started:
            settings[f"starting_magnetization({place})"] = float(started[symbol][1])
    return settings


def _electrons(parameters: Mapping[str, Any], carried: Sequence[str]) -> Settings:
    settings: Settings = {
        "conv_thr": float(parameters["conv_thr"]),
        "mixing_beta": float(parameters["mixing_beta"]),
        "mixing_mode": parameters["mixing_mode"],
        "diagonalization": parameters["diagonalization"],
        "electron_maxstep": int(parameters["electron_maxstep"]),
    }
    return {**settings, "startingpot": "file"} if DENSITY in carried else settings


def _cell_freedom(parameters: Mapping[str, Any]) -> Settings:
    return {
        "cell_dynamics": "bfgs",
        "press": float(parameters["pressure"]),
        "press_conv_thr": float(parameters["pressure_tolerance"]),
        "cell_dofree": parameters["cell_freedom"],
    }


def _length(value: float) -> float:
    """Spare the input the last digits of a product."""
    return round(value, 10)


def _row(values: Sequence[float]) -> str:
    return " ".join(f"{value + 0.0:.10f}" for value in values)


def _atoms(parameters: Mapping[str, Any], structure: Structure) -> list[Card]:
    """The mass 0.0 lets pw.x take the element's own from its table."""
    scale = float(parameters["scale"])
    files = pseudo_files(parameters, structure)
    stretch = scale if parameters["units"] == "angstrom" else 1.0
    positions = tuple(
        f"{atom.symbol} {_row([value * stretch for value in atom.position])}"
        for atom in structure.atoms
    )
    cards = [
        Card("ATOMIC_SPECIES", rows=tuple(f"{s} 0.0 {files[s]}" for s in structure.species)),
        Card("ATOMIC_POSITIONS", parameters["units"], positions),
    ]
    cell = cell_of(parameters, structure)
    if parameters["lattice"] == "vectors" and cell is not None:
        rows = tuple(_row([value * scale for value in vector]) for vector in cell)
        cards.append(Card("CELL_PARAMETERS", "angstrom", rows))
    return cards


def _k_points(parameters: Mapping[str, Any], task: str) -> Card:
    if task == "bands":
        path = read_path(parameters["band_path"])
        rows = tuple(f"{_row(point)} {count}" for point, count, _ in path)
        return Card("K_POINTS", "crystal_b", (str(len(rows)), *rows), ("", *(p[2] for p in path)))
    counts = [int(parameters[f"k_points_{axis}"]) for axis in "abc"]
    if max(counts) == 1 and parameters["calculation"] != "bands":
        return Card("K_POINTS", "gamma")
    shifts = [int(parameters["k_shift"] and count > 1) for count in counts]
    return Card("K_POINTS", "automatic", (" ".join(map(str, [*counts, *shifts])),))
