"""Datasets made from rows; used by everything that extracts or analyses.

Standard library only and Python 3.9, since the agent carries this file to login nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calculations.software.results import Column, Dataset


def table(
    name: str,
    label: str,
    kind: str,
    heads: Sequence[tuple[str, str, str]],
    rows: Sequence[Sequence[Any]],
) -> Dataset | None:
    """Make a dataset from rows, None where there are none."""
    if not rows:
        return None
    columns = [Column(*head, tuple(row[i] for row in rows)) for i, head in enumerate(heads)]
    return Dataset(name, label, kind, tuple(columns))
