"""One lab for all that can be mended within a lease; every test leaves it whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.lab import Lab, open_lab


@pytest.fixture(scope="session")
def _lab() -> Iterator[Lab]:
    with open_lab(LABPORTAL_LEASE_S="60") as lab:
        yield lab


@pytest.fixture
def lab(_lab: Lab) -> Iterator[Lab]:
    yield _lab
    _lab.tidy()
