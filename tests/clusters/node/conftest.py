"""A node's own tests need neither Django's database nor its Redis, passwords or files."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _nothing_left_over() -> None:
    """They use no Redis of the portal's."""


@pytest.fixture(autouse=True)
def _quick_passwords() -> None:
    """They use no passwords."""


@pytest.fixture(autouse=True)
def files_dir() -> None:
    """They use no file store of the portal."""
