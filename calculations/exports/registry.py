"""Which kinds of export there are, by name."""

from __future__ import annotations

from calculations.exports.all_tables import Tables
from calculations.exports.base import Kind
from calculations.exports.crate import Crate
from calculations.exports.dataset import JsonLines, Parquet
from calculations.exports.geometries import Structures
from calculations.exports.report import ReportHtml, ReportJson, ReportPdf
from labportal.common.errors import InvalidInput

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        ReportPdf(),
        ReportHtml(),
        ReportJson(),
        Tables(),
        Crate(),
        Parquet(),
        JsonLines(),
        Structures(),
    )
}


def kind_of(name: str) -> Kind:
    """Raises InvalidInput."""
    if name not in KINDS:
        known = ", ".join(KINDS)
        raise InvalidInput(f"{name[:40]!r} is no kind of export; known are {known}", field="kind")
    return KINDS[name]


def kinds_of(subject: str) -> list[Kind]:
    """Those of a calculation, or of a set."""
    return [kind for kind in KINDS.values() if kind.of == subject]
