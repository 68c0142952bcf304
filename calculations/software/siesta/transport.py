"""The part of the input for TranSiesta: two electrodes under a bias, by Green's functions.

The blocks are those of SIESTA 4.1 and later, written out, so that no default is left to a version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from calculations.software.siesta.fdf import Entry, number

# Behind the version of a cluster whose SIESTA was built, or is set up, without it.
ABSENT = "without TranSiesta"
FIRST_VERSION = (4, 1)
SIDES = (("Left", "left", "-", "1", "V/2"), ("Right", "right", "+", "end -1", "-V/2"))
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,60}\.TSHS", re.ASCII)


def electrode_files(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the files that the scientist must supply."""
    if not parameters["transiesta"]:
        return ()
    return tuple(dict.fromkeys(parameters[f"electrode_{side}"] for _, side, *_ in SIDES))


def entries(parameters: Mapping[str, Any]) -> list[Entry]:
    found = [Entry("TS.HS.Save", "T")] if parameters["save_hamiltonian"] else []
    if not parameters["transiesta"]:
        return found
    names = tuple(name for name, *_ in SIDES)
    found += [
        Entry("SolutionMethod", "transiesta"),
        Entry("TS.Voltage", f"{number(float(parameters['bias']))} eV"),
        Entry("TS.Elecs", rows=names),
        Entry("TS.ChemPots", rows=names),
    ]
    for name, side, sign, position, level in SIDES:
        found += [
            Entry(
                f"TS.Elec.{name}",
                rows=(
                    f"HS {parameters[f'electrode_{side}']}",
                    f"chem-pot {name}",
                    f"semi-inf-dir {sign}{parameters['transport_axis']}",
                    f"elec-pos {position}",
                ),
            ),
            Entry(
                f"TS.ChemPot.{name}",
                rows=(f"mu {level}", "contour.eq", "begin", f"C-{name}", f"T-{name}", "end"),
            ),
            Entry(
                f"TS.Contour.C-{name}",
                rows=(
                    "part circle",
                    f"from -40. eV + {level} to -10 kT + {level}".replace("+ -", "- "),
                    "points 30",
                    "method g-legendre",
                ),
            ),
            Entry(
                f"TS.Contour.T-{name}",
                rows=("part tail", "from prev to inf", "points 10", "method g-fermi"),
            ),
        ]
    return [
        *found,
        Entry("TS.Contours.nEq", rows=("neq",)),
        Entry(
            "TS.Contour.nEq.neq",
            rows=(
                "part line",
                "from -|V|/2 - 5 kT to |V|/2 + 5 kT",
                "delta 0.01 eV",
                "method mid-rule",
            ),
        ),
    ]


def unsupported(parameters: Mapping[str, Any], version: str) -> str:
    """Say why a SIESTA of that version cannot run it; "" where it can, or nothing is known."""
    if not parameters.get("transiesta"):
        return ""
    if not version:
        return "must be named for a run between electrodes; choose one that has TranSiesta"
    found = re.search(r"(\d+)\.(\d+)", version)
    too_old = found is not None and tuple(map(int, found.groups())) < FIRST_VERSION
    if ABSENT in version or too_old:
        return f"has SIESTA {version}, and no TranSiesta of 4.1 or later; choose another"
    return ""


def check(parameters: Mapping[str, Any], *, cell: bool) -> dict[str, str]:
    """Return what is wrong, by parameter."""
    if not parameters["transiesta"]:
        return {"bias": "needs two electrodes; switch that on too"} if parameters["bias"] else {}
    errors: dict[str, str] = {}
    for _, side, *_ in SIDES:
        if NAME.fullmatch(str(parameters[f"electrode_{side}"] or "")) is None:
            errors[f"electrode_{side}"] = "must be the name of a file that ends in .TSHS"
    axis = {"a1": "a", "a2": "b", "a3": "c"}[parameters["transport_axis"]]
    if parameters[f"k_points_{axis}"] > 1:
        errors[f"k_points_{axis}"] = "must be 1 along the electrodes, which never end"
    if not cell:
        errors["transiesta"] = "needs a cell; enter its vectors"
    if parameters["spin"] not in ("non-polarized", "polarized"):
        errors["spin"] = "must be collinear between electrodes"
    if parameters["charge"]:
        errors["charge"] = "must be 0 between electrodes, which bring their own electrons"
    return errors
