"""How atoms and cell went in an optimisation: the frames, and the geometry at its end."""

from __future__ import annotations

from calculations.software.analysis import thin
from calculations.software.espresso.report import Frame, Place, Report
from calculations.software.results import Dataset
from calculations.software.tables import table

MAX_ROWS = 100_000
AXES = tuple((axis, axis, "Å") for axis in "xyz")


def moves(report: Report) -> tuple[Dataset | None, ...]:
    """Return trajectory, its cells, final geometry and its cell; None where nothing moved."""
    frames = _frames(report)
    if not report.optimisation or len(frames) < 2:
        return None, None, None, None
    most = max(2, MAX_ROWS // max(1, len(frames[0][1])))
    kept = thin(frames, most)
    rows = [(i, *_rounded(place)) for i, places, _ in kept for place in places]
    symbol = ("symbol", "Element", "")
    _, last, cell = frames[-1]
    final = [_rounded(place) for place in last]
    return (
        table(
            "trajectory", "Geometries", "table", (("frame", "Geometry", ""), symbol, *AXES), rows
        ),
        _cells(kept),
        table(
            "final_geometry", "Final geometry", "table", (("symbol", "Element", ""), *AXES), final
        ),
        _final_cell(cell),
    )


Moved = tuple[int, list[Place], Frame]


def _frames(report: Report) -> list[Moved]:
    """The whole frames in Å, numbered from 0; pw.x prints the last one again at the end."""
    found: list[Moved] = []
    for frame in report.frames.items:
        places = frame.places
        whole = places and (not found or len(places) == len(found[0][1]))
        again = found and _same(places, found[-1][1])
        if whole and not again:
            found.append((len(found), places, frame))
    return found


def _same(one: list[Place], other: list[Place]) -> bool:
    return len(one) == len(other) and all(
        abs(a - b) < 1e-9 for p, q in zip(one, other) for a, b in zip(p[1:], q[1:])
    )


def _rounded(place: Place) -> Place:
    symbol, x, y, z = place
    return symbol, round(x, 8) + 0.0, round(y, 8) + 0.0, round(z, 8) + 0.0


def _cells(frames: list[Moved]) -> Dataset | None:
    if any(len(frame.cell) != 3 for _, _, frame in frames):
        return None
    heads = [("frame", "Geometry", "")]
    heads += [(f"{v}{a}", f"{v}, {a}", "Å") for v in "abc" for a in "xyz"]
    rows = [
        (i, *(round(value, 8) + 0.0 for vector in frame.cell for value in vector))
        for i, _, frame in frames
    ]
    return table("trajectory_cells", "Cells", "table", heads, rows)


def _final_cell(frame: Frame) -> Dataset | None:
    if len(frame.cell) != 3:
        return None
    rows = [
        ("abc"[i], *(round(value, 8) + 0.0 for value in vector))
        for i, vector in enumerate(frame.cell)
    ]
    return table("final_cell", "Final cell", "table", (("vector", "Vector", ""), *AXES), rows)
