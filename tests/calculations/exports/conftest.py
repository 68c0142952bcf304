"""Calculations that a data set takes in, and files of exports as they would be fetched."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest

from calculations.exports.registry import kind_of
from calculations.models import Calculation
from calculations.states import Standing
from tests.calculations.recorded import water_sweep


@pytest.fixture
def water(ada: Any, root: Any) -> Calculation:
    """Five validated runs of PySCF."""
    calculation = water_sweep(ada, root)
    vouch(calculation)
    return calculation


def vouch(calculation: Calculation, standing: str = Standing.VALIDATED) -> None:
    Calculation.objects.filter(pk=calculation.pk).update(standing=standing)


@pytest.fixture
def exported() -> Callable[..., BytesIO]:
    """Write an export straight into memory."""

    def write(kind: str, user: Any, **asked: Any) -> BytesIO:
        chosen = kind_of(kind)
        stream = BytesIO()
        chosen.write(chosen.check(asked, user), stream, lambda done, of: None)
        stream.seek(0)
        return stream

    return write
