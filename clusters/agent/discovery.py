"""What each plug-in finds on this machine, and what it found a while ago.

A session of the carrier `ssh` lasts seconds: it asks no program for its version that was asked
within the last minutes under the same settings.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from calculations.software.base import Software
from calculations.software.registry import all_software
from clusters.agent import __version__
from clusters.agent.config import Config

log = logging.getLogger(__name__)

REMEMBER_S = 600.0
FILE = "discovered.json"

Found = dict[str, dict[str, Any]]


def discover(config: Config) -> Found:
    """Return what each plug-in finds on this machine."""
    found = {n: (p, _discovered(p, config.site(n))) for n, p in all_software().items()}
    return {name: said for name, (plugin, said) in found.items() if plugin.offered or said["ok"]}


def _discovered(plugin: Software, site: Mapping[str, str]) -> dict[str, Any]:
    try:
        version = plugin.discover(site)
    except Exception as error:
        log.exception("%s cannot be looked for", plugin.name)
        return {"version": "", "ok": False, "problem": f"{type(error).__name__}: {error}"[:300]}
    if version is None:
        return {"version": "", "ok": False, "problem": "not found on this machine"}
    return {"version": version, "ok": True, "problem": ""}


def remembered(config: Config) -> Found:
    """Return what was found lately, else look, and remember that."""
    path, moment = config.work / FILE, time.time()
    sites = {name: dict(values) for name, values in config.software.items()}
    asked = {"version": __version__, "sites": sites}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["asked"] == asked and 0 <= moment - known["at"] < REMEMBER_S:
            return dict(known["found"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = discover(config)
    draft = path.with_name(f"{FILE}.new")
    try:
        draft.write_text(json.dumps({"asked": asked, "at": moment, "found": found}))
        draft.replace(path)
    except OSError as error:
        log.warning("what was found is not remembered: %s", error)
    return found
