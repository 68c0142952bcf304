"""The formats in which structures come and go, and how a file's own is found out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True, slots=True)
class Format:
    """`suffix` ends the name of a download; `suffixes` are those of uploads, in small letters."""

    name: str
    label: str
    suffix: str
    suffixes: tuple[str, ...]
    needs_cell: bool = False
    media_type: str = "text/plain"


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("xyz", "xyz", ".xyz", (".xyz",), media_type="chemical/x-xyz"),
        Format("extxyz", "extended xyz", ".extxyz", (".extxyz", ".exyz")),
        Format("cif", "CIF", ".cif", (".cif",), True, "chemical/x-cif"),
        Format("vasp", "POSCAR", ".vasp", (".vasp", ".poscar", ".contcar"), True),
        Format("pdb", "PDB", ".pdb", (".pdb", ".ent"), media_type="chemical/x-pdb"),
        Format("fdf", "fdf (SIESTA)", ".fdf", (".fdf",)),
        Format("xsf", "XSF", ".xsf", (".xsf", ".axsf")),
        Format("xv", "XV (SIESTA)", ".XV", (".xv",), True),
    )
}
HEAD_LINES = 200
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?", re.ASCII)
XSF_HEADS = ("CRYSTAL", "SLAB", "POLYMER", "MOLECULE", "ATOMS", "ANIMSTEPS", "PRIMVEC")
PDB_HEADS = ("HETATM", "CRYST1", "HEADER", "COMPND", "MODEL ")


def detect(text: str, name: str = "") -> str:
    """Return the name of the format: by unmistakable content, else by the file's name, else xyz."""
    head = list(islice((line for line in text.splitlines() if line.strip()), HEAD_LINES))
    for found, recognises in CONTENT.items():
        if recognises(head):
            return found
    return _by_name(name) or ("extxyz" if _is_extended(head) else "xyz")


def _by_name(name: str) -> str:
    low = name.lower()
    if re.match(r"(poscar|contcar)\b", low.rsplit("/", 1)[-1]):
        return "vasp"
    return next((f.name for f in FORMATS.values() if low.endswith(f.suffixes)), "")


def _numbers(line: str, least: int) -> bool:
    words = line.split()
    return len(words) >= least and all(NUMBER.fullmatch(word) for word in words[:least])


def _is_cif(head: list[str]) -> bool:
    small = [line.strip().lower() for line in head]
    return any(line.startswith(("_cell_length_", "_atom_site_", "_symmetry_")) for line in small)


def _is_pdb(head: list[str]) -> bool:
    return any(
        line.startswith(PDB_HEADS) or re.match(r"ATOM {1,6}\d", line) is not None for line in head
    )


def _is_xsf(head: list[str]) -> bool:
    words = [line.split()[0].upper() for line in head if not line.lstrip().startswith("#")][:2]
    return bool(words) and words[0] in XSF_HEADS


def _is_fdf(head: list[str]) -> bool:
    small = [re.sub(r"[-_.]", "", line.lower()) for line in head]
    return any(
        line.lstrip().startswith(("%block", "systemlabel", "atomiccoordinatesformat"))
        for line in small
    )


def _is_xv(head: list[str]) -> bool:
    vectors = len(head) > 4 and all(_numbers(line, 6) for line in head[:3])
    return vectors and len(head[3].split()) == 1 and _numbers(head[4], 8)


def _is_vasp(head: list[str]) -> bool:
    return (
        len(head) > 6
        and len(head[1].split()) in (1, 3)
        and _numbers(head[1], 1)
        and all(_numbers(line, 3) for line in head[2:5])
        and not _numbers(head[5], 3)
    )


def _is_extended(head: list[str]) -> bool:
    return len(head) > 1 and re.search(r"(lattice|properties)\s*=", head[1], re.I) is not None


CONTENT: dict[str, Callable[[list[str]], bool]] = {
    "cif": _is_cif,
    "pdb": _is_pdb,
    "xsf": _is_xsf,
    "fdf": _is_fdf,
    "xv": _is_xv,
    "vasp": _is_vasp,
}
