"""What was predicted against what is known: counted in cells, and drawn as inference.png where
matplotlib is at hand. The portal draws the same from the cells.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PICTURE = "inference.png"
CELLS = 120
MOST_CELLS = 4000  # that travel to the portal: the fullest ones
NAMES = {"mae": "MAE", "mse": "MSE", "bias": "Bias", "precision": "Precision", "r2": "R²"}


@dataclass(frozen=True)
class Density:
    """`counts[i][j]` samples with truth in cell i and prediction in cell j, between `low` and
    `high`, the same on both axes; `outside` lie beyond.
    """

    low: float
    high: float
    counts: Any
    outside: int

    def to_json(self) -> dict[str, Any]:
        """Only cells that hold something: [truth, prediction, samples] at their middles."""
        width = (self.high - self.low) / len(self.counts)
        found = [
            [round(self.low + (i + 0.5) * width, 6), round(self.low + (j + 0.5) * width, 6), int(n)]
            for (i, j), n in _filled(self.counts)
        ]
        found.sort(key=lambda cell: -cell[2])
        return {
            "low": self.low,
            "high": self.high,
            "cells": found[:MOST_CELLS],
            "left_out": sum(cell[2] for cell in found[MOST_CELLS:]),
            "outside": self.outside,
        }


def density(predictions: Any, truth: Any) -> Density | None:
    """Count samples in cells, None where nothing is known. Of far outliers the axes take no
    notice.
    """
    import numpy

    use = numpy.isfinite(predictions) & numpy.isfinite(truth)
    if not use.any():
        return None
    z, p = truth[use].astype(numpy.float64), predictions[use].astype(numpy.float64)
    low = float(min(numpy.quantile(z, 0.0), numpy.quantile(p, 0.001)))
    high = float(max(numpy.quantile(z, 1.0), numpy.quantile(p, 0.999)))
    if not high > low:
        low, high = low - 0.5, low + 0.5
    counts, _, _ = numpy.histogram2d(z, p, CELLS, ((low, high), (low, high)))
    return Density(low, high, counts.astype(int), int(z.size - counts.sum()))


def write_picture(folder: Path, cells: Density, quality: Mapping[str, float]) -> bool:
    """Draw the picture; return whether that was possible."""
    with contextlib.suppress(ImportError):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 5.6), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure, cells, quality)
        figure.savefig(folder / PICTURE)
        return True
    return False


def _draw(figure: Any, cells: Density, quality: Mapping[str, float]) -> None:
    import numpy
    from matplotlib.colors import LogNorm

    axes = figure.add_subplot()
    counts = numpy.ma.masked_equal(cells.counts.T, 0)
    extent = (cells.low, cells.high, cells.low, cells.high)
    top = max(2, int(cells.counts.max()))
    image = axes.imshow(
        counts, origin="lower", extent=extent, aspect="equal", norm=LogNorm(1, top), cmap="viridis"
    )
    axes.plot(extent[:2], extent[:2], color="#c0392b", linewidth=1, label="y = x")
    axes.set_xlabel("Spectroscopic redshift")
    axes.set_ylabel("Predicted redshift")
    words = [f"{label} {quality[name]:.5f}" for name, label in NAMES.items() if name in quality]
    axes.set_title("   ".join(words), fontsize=8)
    axes.legend(loc="upper left", frameon=False)
    figure.colorbar(image, label="Samples in a cell", shrink=0.85)


def _filled(counts: Any) -> list[tuple[tuple[int, int], int]]:
    import numpy

    places = numpy.argwhere(counts > 0)
    return [((int(i), int(j)), int(counts[i, j])) for i, j in places]
