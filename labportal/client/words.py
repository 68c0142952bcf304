"""Numbers and states as people and portals write them."""

from __future__ import annotations

import re

from labportal.client.errors import Invalid

UNINSTALLED = "0.1.0"  # of a checkout

TERMINAL = frozenset({"valid", "not_valid", "failed", "cancelled"})
ENDED_RUNS = TERMINAL | {"skipped"}


def numeral(number: int | str) -> int:
    """Return 17 of 17, "17", "C-17" or the address of its page."""
    found = re.fullmatch(r"(?:.*/)?(?:[A-Za-z]+-)?(\d{1,18})/?", str(number).strip(), re.ASCII)
    if found is None:
        raise Invalid(f"{str(number)[:80]!r} is no number such as 17 or C-17.")
    return int(found.group(1))


def version() -> str:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("labportal")
    except PackageNotFoundError:
        return UNINSTALLED
