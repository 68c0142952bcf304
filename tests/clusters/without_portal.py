"""For tests without the portal: what every other test sets up is left out.

A conftest imports these fixtures by name; they replace those of tests/conftest.py.
"""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _nothing_left_over() -> None:
    """No Redis is used."""


@pytest.fixture(autouse=True)
def _quick_passwords() -> None:
    """No passwords are used."""


@pytest.fixture(autouse=True)
def files_dir() -> None:
    """No file store of the portal is used."""
