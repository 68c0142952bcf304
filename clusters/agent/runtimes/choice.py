"""Which runtimes an agent uses, by its settings; the one place that knows all of them."""

from __future__ import annotations

import hashlib

from clusters.agent.config import Config
from clusters.agent.runtimes.base import Runtime
from clusters.agent.runtimes.docker import Docker
from clusters.agent.runtimes.podman import Podman

ENGINES = {"podman": Podman, "docker": Docker}


def runtimes_for(config: Config) -> dict[str, Runtime]:
    """Return the runtimes that the settings name, in the order of preference; whether each can be
    used here, its `about` tells.
    """
    agent = owner_of(config)
    return {kind: ENGINES[kind](agent) for kind in config.serving.runtimes if kind in ENGINES}


def owner_of(config: Config) -> str:
    """Return by what an agent knows its containers: the work folder, since an agent that has lost
    its journal must still find what it left running.
    """
    return hashlib.sha256(str(config.work).encode()).hexdigest()[:16]
