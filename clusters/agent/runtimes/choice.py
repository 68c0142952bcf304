"""Which runtimes an agent uses, by its settings; the one place that knows all of them."""

from __future__ import annotations

import hashlib

from clusters.agent.config import Config
from clusters.agent.runtimes.base import Runtime
from clusters.agent.runtimes.docker import Docker
from clusters.agent.runtimes.podman import Podman
from clusters.agent.runtimes.process import Processes

ENGINES = {"podman": Podman, "docker": Docker}

SPOOL = "processes"  # below the work folder


def runtimes_for(config: Config) -> dict[str, Runtime]:
    """Return the runtimes that the settings name, in the order of preference; whether each can be
    used here, its `about` tells.
    """
    return {kind: _made(kind, config) for kind in config.serving.runtimes}


def _made(kind: str, config: Config) -> Runtime:
    if kind in ENGINES:
        return ENGINES[kind](owner_of(config))
    factor = config.memory_factor if config.enforce_memory else None
    return Processes(config.work / SPOOL, config.serving.folders, memory_factor=factor)


def owner_of(config: Config) -> str:
    """Return by what an agent knows its containers: the work folder, since an agent that has lost
    its journal must still find what it left running.
    """
    return hashlib.sha256(str(config.work).encode()).hexdigest()[:16]
