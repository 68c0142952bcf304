"""Calculations to report on, and the text of a PDF."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from pypdf import PdfReader

from calculations.models import Calculation, Quantity, Run
from calculations.report import pdf
from calculations.report.gather import gather
from tests.calculations.factories import submitted
from tests.calculations.recorded import water_sweep


@pytest.fixture
def water(ada: Any, root: Any) -> Calculation:
    return water_sweep(ada, root)


@pytest.fixture
def printed() -> Callable[[Calculation], PdfReader]:
    return lambda calculation: PdfReader(io.BytesIO(pdf.render(gather(calculation))))


@pytest.fixture
def text_of(printed: Any) -> Callable[[Calculation], str]:
    """The words of all pages, with single spaces."""

    def text(calculation: Calculation) -> str:
        pages = [page.extract_text() for page in printed(calculation).pages]
        return re.sub(r"\s+", " ", " ".join(pages))

    return text


@pytest.fixture
def thousand(ada: Any) -> Calculation:
    """A calculation of 1,000 runs, all valid, each with a number."""
    sweep = {"parameter": "value", "from": 0, "to": 999, "points": 1000}
    calculation = submitted(ada, sweep=sweep, walltime_s=1)
    runs = list(calculation.runs.all())
    Run.objects.filter(calculation=calculation).update(state="valid")
    Quantity.objects.bulk_create(
        Quantity(
            calculation=calculation, run=r, name="e", label="Energy", unit="eV", number=-r.index
        )
        for r in runs
    )
    return calculation
