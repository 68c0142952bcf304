"""Changing an agent to the version that this portal serves: what its reply says, and what came of
it.

Agents that call by HTTPS do it themselves. The other carriers bring the file with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from clusters import rows
from clusters.agent import __version__ as PORTALS_VERSION
from clusters.agent.protocol import DOWNLOAD_PATH
from clusters.agent_download import agent_file
from clusters.models import Cluster


def hear(cluster: Cluster) -> tuple[dict[str, Any] | None, bool]:
    """Return what the reply says while an update is asked for, and whether it should hear it at
    once. The wish is struck out where the agent is what was asked for, or says why it cannot be.
    """
    if not cluster.update_wanted or cluster.update_wanted_at is None:
        return None, False
    told = cluster.capacity.get("update")
    told = told if isinstance(told, Mapping) else {}
    heard_of_it = told.get("asked") == cluster.update_wanted_at.isoformat()
    void = cluster.update_wanted != PORTALS_VERSION  # the portal has changed itself since
    if void or is_current(cluster) or (heard_of_it and told.get("problem")):
        cluster.update_wanted, cluster.update_wanted_at = "", None
        rows.save(cluster, ["update_wanted", "update_wanted_at"])
        return None, False
    can = "file_sha256" in cluster.capacity
    wish = {
        "version": PORTALS_VERSION,
        "url": settings.PUBLIC_URL + DOWNLOAD_PATH,
        "sha256": agent_file()[1],
        "asked": cluster.update_wanted_at.isoformat(),
        "may_go_back": cluster.update_may_go_back,
    }
    return wish, can and not heard_of_it


def failure(cluster: Cluster) -> Mapping[str, Any]:
    """What the agent says of an update that failed: version, asked, problem; else nothing."""
    told = cluster.capacity.get("update")
    return told if isinstance(told, Mapping) and told.get("problem") else {}


def is_current(cluster: Cluster) -> bool:
    """Whether the agent is the very file that this portal serves, as far as it tells."""
    told = cluster.capacity.get("file_sha256")
    same = not told or told == agent_file()[1]
    return cluster.agent_version == PORTALS_VERSION and same


def goes_back(cluster: Cluster) -> bool:
    """Whether the portal serves an older version than the agent's."""
    return _parts(PORTALS_VERSION) < _parts(cluster.agent_version)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
