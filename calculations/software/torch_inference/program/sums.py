"""Sums over samples that add up to the same whatever the number of ranks, and the measures of
quality that follow from them.

z is what is known, p what was predicted; dz = (p - z) / (1 + z).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NAMES = (
    "samples",
    "batches",
    "bits",
    "not_finite",
    "known",
    "abs_error",
    "squared_error",
    "dz",
    "z",
    "z_squared",
    "prediction",
)
WHOLE = ("samples", "batches", "bits", "not_finite", "known")
PRECISION = 1.48  # times the median of |dz - median dz|: of a normal distribution its width


def of_partition(predictions: Any, truth: Any, *, batches: int, bits: int) -> list[float]:
    """Return the sums of one partition, in double precision; `truth` None where it is unknown."""
    import numpy

    p = predictions.astype(numpy.float64)
    finite = numpy.isfinite(p)
    found = dict.fromkeys(NAMES, 0.0)
    found.update(
        samples=float(p.size),
        batches=float(batches),
        bits=float(bits),
        not_finite=float(p.size - int(finite.sum())),
        prediction=float(p[finite].sum()),
    )
    if truth is not None:
        z = truth.astype(numpy.float64)
        use = finite & numpy.isfinite(z) & (z > -1)
        p, z = p[use], z[use]
        error = p - z
        found.update(
            known=float(z.size),
            abs_error=float(numpy.abs(error).sum()),
            squared_error=float((error * error).sum()),
            dz=float((error / (1 + z)).sum()),
            z=float(z.sum()),
            z_squared=float((z * z).sum()),
        )
    return [found[name] for name in NAMES]


def added(rows: Iterable[Sequence[float]]) -> list[float]:
    """Add sums up exactly: in any order the same."""
    return [math.fsum(column) for column in zip(*rows)] or [0.0] * len(NAMES)


def difference(found: Sequence[float], expected: Sequence[float]) -> float:
    """Return by how much sums differ, relative to their size; infinite where counts do."""
    worst = 0.0
    for name, a, b in zip(NAMES, found, expected):
        if name in WHOLE and a != b:
            return math.inf
        worst = max(worst, abs(a - b) / max(abs(a), abs(b), 1e-300) if a != b else 0.0)
    return worst if len(found) == len(expected) else math.inf


def measures(sums: Sequence[float]) -> dict[str, float]:
    """Return MAE, MSE, bias and R² where anything is known; the precision needs every sample."""
    s: Mapping[str, float] = dict(zip(NAMES, sums))
    n = s["known"]
    if not n:
        return {}
    spread = s["z_squared"] - s["z"] ** 2 / n
    found = {"mae": s["abs_error"] / n, "mse": s["squared_error"] / n, "bias": s["dz"] / n}
    if spread > 0 and n > 1:
        found["r2"] = 1 - s["squared_error"] / spread
    return found


def precision(predictions: Any, truth: Any) -> float | None:
    """Return 1.48 times the median of |dz - median dz|, None where nothing is known."""
    import numpy

    p, z = numpy.asarray(predictions), numpy.asarray(truth)
    use = numpy.isfinite(p) & numpy.isfinite(z) & (z > -1)
    if not use.any():
        return None
    known = z[use].astype(numpy.float64)
    dz = (p[use].astype(numpy.float64) - known) / (1 + known)
    return float(PRECISION * numpy.median(numpy.abs(dz - numpy.median(dz))))
