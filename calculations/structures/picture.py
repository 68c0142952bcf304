"""A small picture of a structure as SVG: balls in the elements' colours, sticks, the cell.

It is shown as an image, which knows nothing of the page's colour scheme: its lines are of a grey
that both schemes bear.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from calculations.software.structure import Structure, Vector
from calculations.structures.geometry import bonds, colours, radii

WIDTH, HEIGHT, MARGIN = 320.0, 200.0, 16.0
TURN, TILT = math.radians(28), math.radians(20)  # of the view: corners do not hide one another
MOST_DRAWN = 600
FEW_ATOMS = 24
BALL = 0.62  # of the covalent radius
LINE = "#8a94a6"
EDGES = ((0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7))
CORNERS = tuple((i & 1, i >> 1 & 1, i >> 2 & 1) for i in range(8))

Point = tuple[float, float, float]


def svg(structure: Structure) -> str:
    """Return the whole picture; of many atoms only as many as can be told apart are drawn."""
    corners = [_turned(corner) for corner in _corners(structure)]
    structure = _repeated(structure)
    if not corners:
        structure = _facing(structure)
    every = max(1, math.ceil(len(structure.atoms) / MOST_DRAWN))
    drawn = list(range(0, len(structure.atoms), every))
    places = {i: _turned(structure.atoms[i].position) for i in drawn}
    sizes = radii(structure.species)
    reach = BALL * max(sizes.values())
    scale, shift = _fitted([*places.values(), *corners], reach)

    def place(point: Point) -> tuple[float, float]:
        return shift[0] + scale * point[0], shift[1] - scale * point[1]

    paint = colours(structure.species)
    parts = [(math.inf, _edge(place(corners[i]), place(corners[j]))) for i, j in _edges(corners)]
    width = max(0.8, min(6.0, 0.22 * scale))
    if every == 1:
        for i, j in bonds(structure):
            depth = max(places[i][2], places[j][2])  # larger is farther from the eye
            parts.append((depth, _stick(place(places[i]), place(places[j]), width)))
    for i in drawn:
        symbol = structure.atoms[i].symbol
        radius = max(1.2, BALL * sizes[symbol] * scale)
        parts.append((places[i][2] - 0.01, _ball(place(places[i]), radius, paint[symbol])))
    parts.sort(key=lambda part: -part[0])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}">'
        f"<title>{structure.formula}</title>{''.join(part for _, part in parts)}</svg>"
    )


def _facing(structure: Structure) -> Structure:
    """Lay a molecule or a sheet so that its broadest side is seen, the longest way across."""
    import numpy as np

    places = np.array([atom.position for atom in structure.atoms], float)
    centred = places - places.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=True)[2]
    # The view is along the second axis, tilted: across, depth, height.
    laid = centred @ np.array([axes[0], axes[2], axes[1]]).T
    atoms = (replace(a, position=tuple(p)) for a, p in zip(structure.atoms, laid, strict=True))
    return replace(structure, atoms=tuple(atoms))


def _repeated(structure: Structure) -> Structure:
    """Show more than one cell of a crystal or a sheet of few atoms, or one sees no pattern."""
    times = max(1, math.floor((FEW_ATOMS / len(structure.atoms)) ** 0.5))
    along = structure.periodic.count("T")
    if times == 1 or structure.cell is None or not along:
        return structure
    times = min(times, 4 if along < 3 else 2)
    a, b, c = structure.cell
    steps = product(*(range(times if letter == "T" else 1) for letter in structure.periodic))
    atoms = [
        replace(
            atom,
            position=tuple(x + i * a[n] + j * b[n] + k * c[n] for n, x in enumerate(atom.position)),
        )
        for i, j, k in steps
        for atom in structure.atoms
    ]
    return replace(structure, atoms=tuple(atoms))


def _turned(point: Sequence[float]) -> Point:
    """Turn about the vertical, tilt forward; the third number is the depth."""
    x, y, z = point
    x, y = x * math.cos(TURN) + y * math.sin(TURN), y * math.cos(TURN) - x * math.sin(TURN)
    return x, z * math.cos(TILT) + y * math.sin(TILT), y * math.cos(TILT) - z * math.sin(TILT)


def _corners(structure: Structure) -> list[Vector]:
    if structure.cell is None or structure.periodic != "TTT":
        return []  # along the others the vector says nothing but how much is empty
    a, b, c = structure.cell
    return [
        (
            i * a[0] + j * b[0] + k * c[0],
            i * a[1] + j * b[1] + k * c[1],
            i * a[2] + j * b[2] + k * c[2],
        )
        for i, j, k in CORNERS
    ]


def _edges(corners: Sequence[Point]) -> tuple[tuple[int, int], ...]:
    return (*EDGES, (6, 7)) if corners else ()


def _fitted(points: Sequence[Point], reach: float) -> tuple[float, tuple[float, float]]:
    """Return scale and shift that put all points with their balls amid the picture."""
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    wide, high = max(xs) - min(xs) + 2 * reach, max(ys) - min(ys) + 2 * reach
    scale = min((WIDTH - 2 * MARGIN) / wide, (HEIGHT - 2 * MARGIN) / high, 62.0)
    middle = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    return scale, (WIDTH / 2 - scale * middle[0], HEIGHT / 2 + scale * middle[1])


def _edge(a: tuple[float, float], b: tuple[float, float]) -> str:
    return _line(a, b, f'stroke="{LINE}" stroke-width="1" opacity=".7"')


def _stick(a: tuple[float, float], b: tuple[float, float], width: float) -> str:
    return _line(a, b, f'stroke="{LINE}" stroke-width="{width:.1f}" stroke-linecap="round"')


def _line(a: tuple[float, float], b: tuple[float, float], look: str) -> str:
    return f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" {look}/>'


def _ball(at: tuple[float, float], radius: float, fill: str) -> str:
    line = max(0.5, min(1.4, radius / 9))
    return (
        f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius:.1f}" fill="{fill}" '
        f'stroke="#4a5568" stroke-opacity=".75" stroke-width="{line:.1f}"/>'
    )
