"""The program of a run: reads input.json, solves, writes results.json and density_matrix.npy.

The plug-in copies this text into the run's folder; it imports nothing of the portal. Standard
output is the log that is shown live. Exit codes: 0 also where SCF did not converge (results.json
says so), 2 where the carried density matrix does not fit.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

INPUT, RESULTS, DENSITY = "input.json", "results.json", "density_matrix.npy"
HARTREE_IN_EV = 27.211386245988
BOHR_IN_ANGSTROM = 0.529177210903
DOES_NOT_FIT = 2
SCF_LINE = "scf {iteration:4d}  E = {energy:.10f} Ha  dE = {change:.3e}  |g| = {gradient:.3e}"


def main() -> int:
    began = time.monotonic()
    given = json.loads(Path(INPUT).read_text(encoding="utf-8"))
    import numpy
    import pyscf

    pyscf.lib.num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    molecule = pyscf.gto.M(
        atom=[(symbol, tuple(position)) for symbol, position in given["atoms"]],
        unit="Angstrom",
        charge=given["charge"],
        spin=given["spin"],
        basis=given["basis"],
        max_memory=given["memory_mib"],
        verbose=0,
    )
    method = method_of(molecule, given)
    say(f"PySCF {pyscf.__version__}: {given['functional']}/{given['basis']}")
    say(f"{molecule.natm} atoms, {molecule.nelectron} electrons, {molecule.nao} basis functions")
    apply_field(method, molecule, given["field"])
    start = carried_density(molecule, given["spin"])
    say(
        "starting from "
        + ("the density matrix of the run before" if start is not None else "atoms")
    )

    steps: list[dict[str, float]] = []

    def note(found: dict) -> None:
        step = {
            "iteration": int(found["cycle"]) + 1,
            "energy": float(found["e_tot"]),
            "change": float(found["e_tot"] - found["last_hf_e"]),
            "gradient": float(found["norm_gorb"]),
        }
        steps.append(step)
        say(SCF_LINE.format(**step))

    method.callback = note
    method.conv_tol = given["convergence"]
    method.max_cycle = given["max_cycles"]
    energy = float(method.kernel(dm0=start))
    density = numpy.asarray(method.make_rdm1())
    write(DENSITY, lambda stream: numpy.save(stream, density, allow_pickle=False))
    converged = bool(method.converged)
    say(f"SCF {'converged' if converged else 'NOT converged'} after {len(steps)} iterations")
    results = {
        "energy": energy,
        "nuclear_repulsion": float(molecule.energy_nuc()),
        "converged": converged,
        "iterations": steps,
        "dipole": [float(value) for value in method.dip_moment(unit="Debye", verbose=0)],
        "charges": charges(method, molecule),
        "orbitals": orbitals(method),
        "forces": forces(method, molecule) if given["forces"] and converged else None,
        "basis_functions": int(molecule.nao),
        "electrons": int(molecule.nelectron),
        "started_from": "carried" if start is not None else "atoms",
        "elapsed_s": round(time.monotonic() - began, 3),
        "versions": {"pyscf": pyscf.__version__, "numpy": numpy.__version__},
    }
    write(RESULTS, lambda stream: stream.write(json.dumps(results).encode()))
    say(f"total energy {energy:.10f} Ha, done in {time.monotonic() - began:.2f} s")
    return 0


def say(line: str) -> None:
    print(line, flush=True)


def write(name: str, fill: object) -> None:
    """Write a file as a whole or not at all."""
    temporary = Path(name + ".new")
    with temporary.open("wb") as stream:
        fill(stream)
    temporary.replace(name)


def method_of(molecule: object, given: dict) -> object:
    from pyscf import dft, scf

    if given["functional"] == "HF":
        method = scf.RHF(molecule) if given["spin"] == 0 else scf.UHF(molecule)
    else:
        method = dft.RKS(molecule) if given["spin"] == 0 else dft.UKS(molecule)
        method.xc = "lda,vwn" if given["functional"] == "LDA" else given["functional"]
        method.nlc = 0
    return method.density_fit() if given["density_fitting"] else method


def apply_field(method: object, molecule: object, field: list[float]) -> None:
    """Add E·r for the electrons. From the centre of nuclear charge the nuclei add nothing."""
    if not any(field):
        return
    nuclear = molecule.atom_charges()
    centre = (nuclear[:, None] * molecule.atom_coords()).sum(axis=0) / nuclear.sum()
    with molecule.with_common_orig(centre):
        positions = molecule.intor_symmetric("int1e_r", comp=3)
    core = method.get_hcore() + sum(strength * r for strength, r in zip(field, positions))
    method.get_hcore = lambda *_: core
    say("electric field {:g} {:g} {:g} a.u.".format(*field))


def carried_density(molecule: object, spin: int) -> object:
    """Return the density matrix of the run before, None where there is none."""
    import numpy

    if not Path(DENSITY).exists():
        return None
    density = numpy.load(DENSITY, allow_pickle=False)
    expected = (molecule.nao, molecule.nao) if spin == 0 else (2, molecule.nao, molecule.nao)
    if density.shape != expected:
        text = "the carried density matrix is {}, this run needs {}: geometry, basis or spin differ"
        found, needed = (" x ".join(map(str, shape)) for shape in (density.shape, expected))
        print(text.format(found, needed), file=sys.stderr)
        sys.exit(DOES_NOT_FIT)
    return density


def charges(method: object, molecule: object) -> list[dict]:
    _, found = method.mulliken_pop(verbose=0)
    symbols = [molecule.atom_pure_symbol(i) for i in range(molecule.natm)]
    return [{"symbol": s, "charge": float(q)} for s, q in zip(symbols, found)]


def orbitals(method: object) -> list[dict]:
    """Return energy (eV) and occupation of every orbital, spin by spin."""
    import numpy

    energies = numpy.atleast_2d(method.mo_energy)
    occupations = numpy.atleast_2d(method.mo_occ)
    spins = ("both",) if len(energies) == 1 else ("up", "down")
    return [
        {"spin": spin, "energy": float(energy) * HARTREE_IN_EV, "occupation": float(occupation)}
        for i, spin in enumerate(spins)
        for energy, occupation in zip(energies[i], occupations[i])
    ]


def forces(method: object, molecule: object) -> list[dict]:
    """Return the force on each atom (eV/Å)."""
    gradient = method.nuc_grad_method()
    gradient.verbose = 0
    factor = -HARTREE_IN_EV / BOHR_IN_ANGSTROM
    found = gradient.kernel() * factor
    return [
        {"symbol": molecule.atom_pure_symbol(i), "force": [float(value) for value in found[i]]}
        for i in range(molecule.natm)
    ]


if __name__ == "__main__":
    sys.exit(main())
