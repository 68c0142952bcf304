"""A small picture of a structure as SVG: balls in the elements' colours, sticks, the cell.

It is shown as an image, which knows nothing of the page's colour scheme: its lines are of a grey
that both schemes bear.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from calculations.software.structure import Structure, Vector
from calculations.structures.geometry import bonds, colours, radii

WIDTH, HEIGHT, MARGIN = 320.0, 200.0, 16.0
TURN, TILT = math.radians(28), math.radians(20)  # of the view: corners do not hide one another
MOST_DRAWN = 600
BALL = 0.62  # of the covalent radius
LINE = "#8a94a6"
EDGES = ((0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7))
CORNERS = tuple((i & 1, i >> 1 & 1, i >> 2 & 1) for i in range(8))

Point = tuple[float, float, float]


def svg(structure: Structure) -> str:
    """Return the whole picture; of many atoms only as many as can be told apart are drawn."""
    every = max(1, math.ceil(len(structure.atoms) / MOST_DRAWN))
    drawn = list(range(0, len(structure.atoms), every))
    places = {i: _turned(structure.atoms[i].position) for i in drawn}
    corners = [_turned(corner) for corner in _corners(structure)]
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


def _turned(point: Sequence[float]) -> Point:
    """Turn about the vertical, tilt forward; the third number is the depth."""
    x, y, z = point
    x, y = x * math.cos(TURN) + y * math.sin(TURN), y * math.cos(TURN) - x * math.sin(TURN)
    return x, z * math.cos(TILT) + y * math.sin(TILT), y * math.cos(TILT) - z * math.sin(TILT)


def _corners(structure: Structure) -> list[Vector]:
    if structure.cell is None:
        return []
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
    scale = min((WIDTH - 2 * MARGIN) / wide, (HEIGHT - 2 * MARGIN) / high, 42.0)
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
