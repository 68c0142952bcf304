"""Picks the small useful part out of a PySCF run's folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calculations.software.analysis import is_number
from calculations.software.pyscf.reading import LOG, read_results, scf_steps
from calculations.software.reading import end_of
from calculations.software.results import Column, Dataset, Quantity, Results

HARTREE_IN_EV = 27.211386245988
ORBITALS_AROUND_GAP = 200


def extract(folder: Path) -> Results:
    """Return what can be read; a run that was cut short still has its SCF iterations."""
    found = read_results(folder)
    if found is None:
        return Results(datasets=_scf(scf_steps(end_of(folder / LOG))))
    try:
        return Results(tuple(_quantities(found)), tuple(_datasets(found)))
    except (KeyError, TypeError, ValueError, AttributeError):
        return Results(datasets=_scf(scf_steps(end_of(folder / LOG))))


def _quantities(found: dict[str, Any]) -> list[Quantity]:
    energy = found["energy"]
    dipole = [round(float(value), 9) + 0.0 for value in found["dipole"]]  # no -1e-15
    values = [
        ("total_energy", "Total energy", _times(energy, HARTREE_IN_EV), "eV"),
        ("total_energy_hartree", "Total energy", energy, "Ha"),
        ("dipole_x", "Dipole, x", dipole[0], "Debye"),
        ("dipole_y", "Dipole, y", dipole[1], "Debye"),
        ("dipole_z", "Dipole, z", dipole[2], "Debye"),
        ("dipole", "Dipole", round(math.hypot(*dipole), 9), "Debye"),
        *_frontier(found["orbitals"]),
        ("scf_iterations", "SCF iterations", len(found["iterations"]), ""),
        ("basis_functions", "Basis functions", found.get("basis_functions"), ""),
        ("electrons", "Electrons", found.get("electrons"), ""),
        ("max_force", "Largest force", _largest(found.get("forces")), "eV/Å"),
    ]
    quantities = [Quantity(n, label, v, unit) for n, label, v, unit in values if is_number(v)]
    started = found.get("started_from")
    if started in ("carried", "atoms"):
        words = "the run before" if started == "carried" else "atoms"
        quantities.append(Quantity("started_from", "Started from", words))
    version = found.get("versions", {}).get("pyscf")
    if version:
        quantities.append(Quantity("program_version", "Program", f"PySCF {version}"))
    return quantities


def _times(value: Any, factor: float) -> Any:
    return value * factor if is_number(value) else None


def _frontier(orbitals: Sequence[dict[str, Any]]) -> list[tuple[str, str, Any, str]]:
    occupied = [orbital["energy"] for orbital in orbitals if orbital["occupation"] > 0]
    empty = [orbital["energy"] for orbital in orbitals if orbital["occupation"] == 0]
    homo, lumo = max(occupied, default=None), min(empty, default=None)
    gap = None if homo is None or lumo is None else lumo - homo
    return [
        ("homo", "Highest occupied orbital", homo, "eV"),
        ("lumo", "Lowest empty orbital", lumo, "eV"),
        ("gap", "Gap", gap, "eV"),
    ]


def _largest(forces: Any) -> float | None:
    return max((math.hypot(*atom["force"]) for atom in forces), default=None) if forces else None


def _datasets(found: dict[str, Any]) -> list[Dataset]:
    datasets = list(_scf(found["iterations"]))
    orbitals = _around_gap(found["orbitals"])
    datasets.append(
        Dataset(
            "orbitals",
            "Orbitals",
            "table",
            (
                Column("index", "Orbital", "", tuple(number for number, _ in orbitals)),
                Column("energy", "Energy", "eV", tuple(o["energy"] for _, o in orbitals)),
                Column("occupation", "Occupation", "", tuple(o["occupation"] for _, o in orbitals)),
                Column("spin", "Spin", "", tuple(o["spin"] for _, o in orbitals)),
            ),
        )
    )
    datasets.append(
        Dataset(
            "charges",
            "Mulliken charges",
            "table",
            (
                Column("atom", "Atom", "", tuple(range(1, len(found["charges"]) + 1))),
                Column("symbol", "Element", "", tuple(a["symbol"] for a in found["charges"])),
                Column("charge", "Charge", "e", tuple(a["charge"] for a in found["charges"])),
            ),
        )
    )
    return datasets + ([_forces(found["forces"])] if found.get("forces") else [])


def _forces(atoms: Sequence[dict[str, Any]]) -> Dataset:
    axes = [
        Column(axis, f"Force, {axis}", "eV/Å", tuple(atom["force"][i] for atom in atoms))
        for i, axis in enumerate("xyz")
    ]
    head = (
        Column("atom", "Atom", "", tuple(range(1, len(atoms) + 1))),
        Column("symbol", "Element", "", tuple(atom["symbol"] for atom in atoms)),
    )
    return Dataset("forces", "Forces", "table", (*head, *axes))


def _around_gap(orbitals: Sequence[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Return the orbitals nearest to the gap with their numbers within their spin."""
    chosen: list[tuple[int, dict[str, Any]]] = []
    for spin in dict.fromkeys(orbital["spin"] for orbital in orbitals):
        of_spin = [orbital for orbital in orbitals if orbital["spin"] == spin]
        filled = sum(orbital["occupation"] > 0 for orbital in of_spin)
        first = max(0, filled - ORBITALS_AROUND_GAP // 2)
        part = of_spin[first : first + ORBITALS_AROUND_GAP]
        chosen += list(enumerate(part, start=first + 1))
    return chosen


def _scf(steps: Sequence[dict[str, Any]]) -> tuple[Dataset, ...]:
    if not steps:
        return ()
    columns = (
        Column("iteration", "SCF iteration", "", tuple(step["iteration"] for step in steps)),
        Column("energy", "Energy", "Ha", tuple(step["energy"] for step in steps)),
        Column(
            "energy_change",
            "Change of the energy",
            "Ha",
            tuple(abs(step["change"]) or None for step in steps),
        ),
        Column("gradient", "Orbital gradient", "Ha", tuple(step["gradient"] for step in steps)),
    )
    return (Dataset("scf", "Self-consistency", "series", columns),)
