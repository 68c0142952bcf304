"""One lab of each kind for all scenarios that a test process plays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.chaos.lab import Lab
from tests.chaos.playing import open_lab_of


@pytest.fixture(scope="module")
def labs() -> Iterator[Callable[[str], Lab]]:
    """Return a lab by its name, opened where it was not yet."""
    opened: dict[str, Lab] = {}
    with contextlib.ExitStack() as stack:

        def lab(name: str) -> Lab:
            if name not in opened:
                opened[name] = stack.enter_context(open_lab_of(name))
            return opened[name]

        yield lab
