"""Which numerical software there is: the built-in plug-ins, and those that packages announce.

A package announces one by the entry point group `labportal.software` (name = "module:Class"); the
agent file has no metadata and names them in `_labportal_plugins`. A third-party plug-in that cannot
be loaded is logged and left out; it never stops the portal or the agent.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from functools import lru_cache
from importlib.metadata import entry_points

from calculations.software.base import Software
from calculations.software.graph import check_definitions

log = logging.getLogger(__name__)

ENTRY_POINT_GROUP = "labportal.software"
BUILT_IN = {
    "pyscf": "calculations.software.pyscf:PySCF",
    "siesta": "calculations.software.siesta:Siesta",
    "espresso": "calculations.software.espresso:Espresso",
    "torch_inference": "calculations.software.torch_inference:TorchInference",
    "rehearsal": "calculations.software.rehearsal:Rehearsal",
}


class UnknownSoftware(KeyError):
    """No plug-in of that name."""

    def __str__(self) -> str:
        known = ", ".join(sorted(offered_software()))
        return f"software {self.args[0]!r} is unknown; known are {known}"


def announced() -> dict[str, str]:
    """Third-party plug-ins as {name: "module:Class"}: from entry points, LABPORTAL_SOFTWARE, or the
    agent file.
    """
    points = entry_points()  # a mapping of groups in Python 3.9, selectable from 3.10 on
    group = (
        points.select(group=ENTRY_POINT_GROUP)
        if hasattr(points, "select")
        else points.get(ENTRY_POINT_GROUP, ())
    )
    found = {point.name: point.value for point in group}
    for item in filter(None, os.environ.get("LABPORTAL_SOFTWARE", "").split(",")):
        name, _, target = item.partition("=")
        found[name.strip()] = target.strip()
    with contextlib.suppress(ModuleNotFoundError):
        found.update(importlib.import_module("_labportal_plugins").PLUGINS)
    return found


@lru_cache(maxsize=1)
def all_software() -> dict[str, Software]:
    """Every plug-in that could be loaded, by name; loaded once per process."""
    loaded: dict[str, Software] = {}
    for name, target in {**announced(), **BUILT_IN}.items():
        module, _, attribute = target.partition(":")
        try:
            plugin = getattr(importlib.import_module(module), attribute)()
            check_definitions(plugin.analyses)
            loaded[name] = plugin
        except Exception:
            if name in BUILT_IN:
                raise
            log.exception(
                "software plug-in %s (%s) could not be loaded and is left out", name, target
            )
    return loaded


def offered_software() -> dict[str, Software]:
    """What scientists may choose, by name."""
    return {name: plugin for name, plugin in all_software().items() if plugin.offered}


def get_software(name: str) -> Software:
    """Raises UnknownSoftware."""
    try:
        return all_software()[name]
    except KeyError:
        raise UnknownSoftware(name) from None
