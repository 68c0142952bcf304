"""The heads of pseudopotential files: psf, psml and UPF (1 and 2), read without trust.

XML is read by an event parser that refuses document types, so that no entity is ever expanded.
Standard library only and Python 3.9, like everything that plug-ins share.
"""

from __future__ import annotations

import re
import xml.parsers.expat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calculations.software.structure import ATOMIC_NUMBERS, SYMBOLS

FORMATS = ("psf", "psml", "upf")
HEAD = 2 * 2**20  # bytes: what generators write of themselves before the numbers
# What SIESTA's ATM writes for functional and relativity.
PSF_FUNCTIONALS = {
    "ca": "LDA",
    "pz": "LDA",
    "pw": "PW92",
    "pb": "PBE",
    "ps": "PBEsol",
    "rp": "RPBE",
    "rv": "revPBE",
    "bl": "BLYP",
    "wc": "WC",
    "vw": "vdW-DF",
    "vf": "vdW-DF",
}
PSF_RELATIVITY = {"nrl": "none", "rel": "full", "isp": "none"}
LIBXC = {
    frozenset({101, 130}): "PBE",
    frozenset({116, 133}): "PBEsol",
    frozenset({102, 130}): "revPBE",
    frozenset({117, 130}): "RPBE",
    frozenset({106, 131}): "BLYP",
    frozenset({118, 130}): "WC",
    frozenset({1, 9}): "LDA",
    frozenset({1, 12}): "PW92",
}
# Short names, and the parts of which Quantum ESPRESSO composes a functional.
UPF_FUNCTIONALS = {
    "PBE": "PBE",
    "SLA PW PBX PBC": "PBE",
    "SLA PW PBE PBE": "PBE",
    "PBESOL": "PBEsol",
    "SLA PW PSX PSC": "PBEsol",
    "REVPBE": "revPBE",
    "SLA PW RPB PBC": "revPBE",
    "SLA PW REVX PBC": "revPBE",
    "BLYP": "BLYP",
    "SLA LYP B88 BLYP": "BLYP",
    "B88 LYP": "BLYP",
    "WC": "WC",
    "PZ": "LDA",
    "LDA": "LDA",
    "SLA PZ NOGX NOGC": "LDA",
    "SLA PZ": "LDA",
    "SLA PW NOGX NOGC": "PW92",
    "SLA PW": "PW92",
}


class PseudopotentialError(ValueError):
    """A file whose head says nothing that can be used; the message names the remedy."""


@dataclass(frozen=True)
class NeededPseudopotential:
    """One file that a run needs: for which element, under which name, made with what."""

    element: str
    name: str
    format: str
    functional: str = ""  # empty: any


@dataclass(frozen=True)
class Head:
    """What a file says of itself; `functional` as parameters name it, empty where it says none."""

    format: str
    element: str
    functional: str = ""
    valence: float | None = None
    relativistic: str = ""
    source: str = ""


def format_of(name: str) -> str:
    """Return the format that a file name ends with. Raises PseudopotentialError."""
    ending = name.rpartition(".")[2].lower()
    if ending == "vps":
        raise PseudopotentialError("is a binary vps file; supply the psf file instead")
    if ending not in FORMATS:
        raise PseudopotentialError("must end in .psf, .psml or .upf")
    return ending


def element_in(name: str) -> str:
    """Return the element with which a file name begins (Si.psf, si_pbe.upf); empty where none."""
    found = re.match(r"([A-Za-z]{1,2})(?=[._-]|\d|$)", name)
    symbol = found.group(1).capitalize() if found else ""
    return symbol if symbol in ATOMIC_NUMBERS else ""


def read_head(name: str, data: bytes) -> Head:
    """Read the head of a file, of which `data` holds at least the first 2 MiB, or all.

    Raises PseudopotentialError, also where the name says another element than the head.
    """
    kind = format_of(name)
    if not data.strip():
        raise PseudopotentialError("is empty")
    head = {"psf": _psf, "psml": _psml, "upf": _upf}[kind](data[:HEAD])
    if head.element not in ATOMIC_NUMBERS:
        raise PseudopotentialError(f"names no element that exists, but {head.element[:20]!r}")
    named = element_in(name)
    if named and named != head.element:
        raise PseudopotentialError(
            f"is of another element than its name says: the name says {named}, the head says "
            f"{head.element}; take the right file, or name this one {head.element}.{kind}"
        )
    return head


def _text(data: bytes) -> str:
    return data.replace(b"\0", b"").decode("utf-8", errors="replace")


def _psf(data: bytes) -> Head:
    if b"\0" in data[:2000]:
        raise PseudopotentialError("is binary; a psf file is text")
    lines = _text(data[:20_000]).splitlines()
    words = lines[0].split() if lines else []
    if len(words) < 3 or len(lines) < 4:
        raise PseudopotentialError(
            "has no head of a psf file: it begins with element, functional and relativity"
        )
    numbers = lines[3].split()
    return Head(
        "psf",
        words[0].capitalize(),
        PSF_FUNCTIONALS.get(words[1].lower(), ""),
        _number(numbers[-1]) if numbers else None,
        PSF_RELATIVITY.get(words[2].lower(), ""),
        " ".join(lines[1].split())[:300],
    )


def _number(text: str) -> float | None:
    try:
        value = float(text.replace("D", "E").replace("d", "e"))
    except ValueError:
        return None
    return value if 0 <= value < 1000 else None


class _Enough(Exception):
    """The head is read."""


class _Psml:
    """Takes the elements of a PSML file up to the first grid."""

    def __init__(self) -> None:
        self.atom: dict[str, str] = {}
        self.creator = ""
        self.functionals: set[int] = set()
        self.is_psml = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = name.rpartition(":")[2]
        if name == "psml":
            self.is_psml = True
        elif name == "provenance" and not self.creator:
            self.creator = str(attributes.get("creator", ""))
        elif name == "pseudo-atom-spec":
            self.atom = dict(attributes)
        elif name == "functional" and str(attributes.get("id", "")).isdecimal():
            self.functionals.add(int(attributes["id"]))
        elif name in ("grid", "valence-charge", "semilocal-potentials"):
            raise _Enough

    @staticmethod
    def refuse(*_: Any) -> None:
        raise PseudopotentialError("declares a document type, which is not read; remove it")


def _psml(data: bytes) -> Head:
    taken = _Psml()
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = taken.start
    parser.StartDoctypeDeclHandler = taken.refuse
    parser.EntityDeclHandler = taken.refuse
    try:
        parser.Parse(data, False)
    except _Enough:
        pass
    except xml.parsers.expat.ExpatError as error:
        raise PseudopotentialError(f"is no XML that can be read: {error}") from None
    if not taken.is_psml or not taken.atom:
        raise PseudopotentialError("has no head of a psml file (pseudo-atom-spec)")
    return Head(
        "psml",
        _element(taken.atom),
        LIBXC.get(frozenset(taken.functionals), ""),
        _number(taken.atom.get("z-pseudo", "")),
        _relativity(taken.atom.get("relativity", "")),
        " ".join(taken.creator.split())[:300],
    )


def _element(atom: Mapping[str, str]) -> str:
    number = _number(atom.get("atomic-number", ""))
    if number is not None and number == int(number) and 0 < number <= len(SYMBOLS):
        return SYMBOLS[int(number) - 1]
    return atom.get("atomic-label", "").strip().capitalize()


def _relativity(word: str) -> str:
    known = {"no": "none", "nonrelativistic": "none", "scalar": "scalar", "dirac": "full"}
    return known.get(word.strip().lower(), word.strip().lower() if word in ("full",) else "")


def _upf(data: bytes) -> Head:
    text = _text(data)
    if "<PP_HEADER" not in text:
        raise PseudopotentialError("has no head of a UPF file (PP_HEADER)")
    head = text[text.index("<PP_HEADER") :]
    if ">" not in head:
        raise PseudopotentialError("ends within its head (PP_HEADER): upload the whole file")
    opening = head[: head.find(">")]
    return _upf_2(head) if "=" in opening else _upf_1(head, text)


def _upf_2(head: str) -> Head:
    """Attributes by a pattern: some generators write XML that no parser takes."""
    found = re.findall(r"([A-Za-z_]\w*)\s*=\s*(\"[^\"]{0,2000}\"|'[^']{0,2000}')", head[:40_000])
    said = {name.lower(): value[1:-1].strip() for name, value in reversed(found)}
    return Head(
        "upf",
        said.get("element", "").capitalize(),
        _upf_functional(said.get("functional", "")),
        _number(said.get("z_valence", "")),
        _relativity(said.get("relativistic", "")),
        " ".join(said.get("generated", "").split())[:300],
    )


def _upf_1(head: str, text: str) -> Head:
    """One value on each line, with its name behind it."""
    said: dict[str, str] = {}
    for line in head.splitlines()[1:40]:
        for name in ("Element", "Exchange-Correlation functional", "Z valence"):
            if line.rstrip().endswith(name):
                said[name] = line.rstrip()[: -len(name)].strip()
    generated = re.search(r"<PP_INFO>\s*(.{1,300}?)\s*\n", text)
    relativity = "scalar" if re.search(r"scalar.relativistic", text[:20_000], re.I) else ""
    return Head(
        "upf",
        said.get("Element", "").capitalize(),
        _upf_functional(said.get("Exchange-Correlation functional", "")),
        _number(said.get("Z valence", "")),
        relativity,
        generated.group(1) if generated else "",
    )


def _upf_functional(text: str) -> str:
    words = re.split(r"[\s+]+", text.upper().strip())
    for count in range(len(words), 0, -1):
        name = UPF_FUNCTIONALS.get(" ".join(words[:count]))
        if name:
            return name
    return ""


def same_functional(one: str, other: str) -> bool:
    """Whether two may be mixed: unknown ones pass, and both parametrisations of LDA are alike."""
    alike = {"PW92": "LDA"}
    return not one or not other or alike.get(one, one) == alike.get(other, other)
