"""Distances in crystals and molecules: the images that are near, and which atoms are bonded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

from calculations.software.structure import Vector

MAX_ATOMS = 200  # each is compared with the images of each
SLACK = 0.45  # Å; bonds are up to this much longer than the sum of covalent radii
UNKNOWN_RADIUS = 1.5
# Å. Cordero et al., Dalton Trans. 2832 (2008); elements 1 to 96, in order.
RADII = (
    0.31, 0.28, 1.28, 0.96, 0.84, 0.76, 0.71, 0.66, 0.57, 0.58, 1.66, 1.41, 1.21, 1.11, 1.07, 1.05,
    1.02, 1.06, 2.03, 1.76, 1.70, 1.60, 1.53, 1.39, 1.39, 1.32, 1.26, 1.24, 1.32, 1.22, 1.22, 1.20,
    1.19, 1.20, 1.20, 1.16, 2.20, 1.95, 1.90, 1.75, 1.64, 1.54, 1.47, 1.46, 1.42, 1.39, 1.45, 1.44,
    1.42, 1.39, 1.39, 1.38, 1.39, 1.40, 2.44, 2.15, 2.07, 2.04, 2.03, 2.01, 1.99, 1.98, 1.98, 1.96,
    1.94, 1.92, 1.92, 1.89, 1.90, 1.87, 1.87, 1.75, 1.70, 1.62, 1.51, 1.44, 1.41, 1.36, 1.36, 1.32,
    1.45, 1.46, 1.48, 1.40, 1.50, 1.50, 2.60, 2.21, 2.15, 2.06, 2.00, 1.96, 1.90, 1.87, 1.80, 1.69,
)  # fmt: skip


def radius(number: int) -> float:
    return RADII[number - 1] if 0 < number <= len(RADII) else UNKNOWN_RADIUS


def subtract(a: Sequence[float], b: Sequence[float]) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def combine(parts: Sequence[float], cell: Sequence[Vector]) -> Vector:
    """Return parts[0]·a + parts[1]·b + parts[2]·c."""
    x, y, z = (math.fsum(parts[n] * cell[n][i] for n in range(3)) for i in range(3))
    return x, y, z


def inverse(cell: Sequence[Vector]) -> tuple[Vector, Vector, Vector] | None:
    """Return the three rows that turn a place into its parts of the cell; None for a flat one."""
    a, b, c = cell
    rows = [
        (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])
        for u, v in ((b, c), (c, a), (a, b))
    ]
    volume = math.fsum(a[i] * rows[0][i] for i in range(3))
    if abs(volume) < 1e-9:
        return None
    x, y, z = (tuple(value / volume for value in row) for row in rows)
    return (x[0], x[1], x[2]), (y[0], y[1], y[2]), (z[0], z[1], z[2])


def parts_of(place: Sequence[float], inverted: Sequence[Vector]) -> Vector:
    x, y, z = (math.fsum(row[i] * place[i] for i in range(3)) for row in inverted)
    return x, y, z


def steps(cell: Sequence[Vector], reach: float) -> list[Vector]:
    """Return the shifts of the images that may lie within `reach` (Å) of the first cell."""
    inverted = inverse(cell) if len(cell) == 3 else None
    if inverted is None:
        return [(0.0, 0.0, 0.0)]
    counts = [min(4, max(1, math.ceil(reach * math.hypot(*row)))) for row in inverted]
    return [combine(n, cell) for n in product(*(range(-m, m + 1) for m in counts))]


def nearest_step(step: Vector, cell: Sequence[Vector]) -> Vector:
    """Return the shortest of a displacement's images."""
    inverted = inverse(cell) if len(cell) == 3 else None
    if inverted is None:
        return step
    parts = parts_of(step, inverted)
    home = combine([part - round(part) for part in parts], cell)
    images = (
        tuple(home[i] + shift[i] for i in range(3))
        for shift in (combine(n, cell) for n in product((-1, 0, 1), repeat=3))
    )
    x, y, z = min(images, key=lambda image: math.hypot(*image))
    return x, y, z


def neighbours(
    places: Sequence[Vector], cell: Sequence[Vector], reach: float
) -> Iterator[tuple[int, int, float, Vector]]:
    """Yield (i, j, distance, place of j's image) for all within `reach` of each atom i."""
    shifts = steps(cell, reach)
    for i, place in enumerate(places):
        for j, other in enumerate(places):
            for shift in shifts:
                image = other[0] + shift[0], other[1] + shift[1], other[2] + shift[2]
                distance = math.dist(place, image)
                if 1e-6 < distance <= reach:
                    yield i, j, distance, image
