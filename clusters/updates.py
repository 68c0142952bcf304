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


def wanted(cluster: Cluster) -> dict[str, Any] | None:
    """What the reply says while an update is asked for; `asked` tells one wish from the next."""
    if cluster.update_wanted != PORTALS_VERSION or cluster.update_wanted_at is None:
        return None
    return {
        "version": PORTALS_VERSION,
        "url": settings.PUBLIC_URL + DOWNLOAD_PATH,
        "sha256": agent_file()[1],
        "asked": cluster.update_wanted_at.isoformat(),
        "may_go_back": cluster.update_may_go_back,
    }


def hear(cluster: Cluster) -> None:
    """Strike the wish out once the agent is what was asked for, or says why it cannot be."""
    if not cluster.update_wanted or cluster.update_wanted_at is None:
        return
    told = failure(cluster)
    failed = told.get("asked") == cluster.update_wanted_at.isoformat()
    if failed or (cluster.update_wanted == cluster.agent_version and is_current(cluster)):
        cluster.update_wanted, cluster.update_wanted_at = "", None
        rows.save(cluster, ["update_wanted", "update_wanted_at"])


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
