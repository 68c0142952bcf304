"""Linear least squares with a few unknowns.

Pure functions on plain values. Standard library only and Python 3.9, since the agent carries this
file to login nodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(p * q for p, q in zip(a, b))


def solve(rows: Sequence[Sequence[float]], values: Sequence[float]) -> list[float] | None:
    """Return the unknowns x of rows·x = values, None where the columns depend on each other.

    Orthogonalises the columns (modified Gram-Schmidt, twice), which loses fewer digits than the
    normal equations.
    """
    size = len(rows[0]) if rows else 0
    if not size or len(rows) < size:
        return None
    columns = [[row[j] for row in rows] for j in range(size)]
    upper = [[0.0] * size for _ in range(size)]
    for j in range(size):
        scale = math.sqrt(_dot(columns[j], columns[j]))
        for _ in range(2):
            for i in range(j):
                part = _dot(columns[i], columns[j])
                upper[i][j] += part
                columns[j] = [b - part * a for a, b in zip(columns[i], columns[j])]
        norm = math.sqrt(_dot(columns[j], columns[j]))
        if norm <= 1e-10 * scale or not math.isfinite(norm):
            return None
        upper[j][j] = norm
        columns[j] = [value / norm for value in columns[j]]
    found = [_dot(column, values) for column in columns]
    for i in reversed(range(size)):
        rest = math.fsum(upper[i][j] * found[j] for j in range(i + 1, size))
        found[i] = (found[i] - rest) / upper[i][i]
    return found if all(map(math.isfinite, found)) else None
