"""A node's settings: the agent's INI file with the carrier `queue`, written from the command line
once and read from then on.

What is secret (the key, a broker's password) is in this file (mode 0600) alone: not in the list of
processes, not in a unit of systemd.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from clusters.agent import config
from clusters.agent.config import BadConfig, Config
from clusters.node.messages import NAME, prefix_of
from clusters.node.queues import BROKERS


def path_of(name: str) -> Path:
    """Where the settings of a node are when nobody says otherwise."""
    return config.default_path().with_name(f"node-{name}.ini")


def check_name(name: str) -> str:
    """Raises BadConfig."""
    if not NAME.fullmatch(name):
        raise BadConfig(
            f"--queue {name!r:.80}: use the cluster's name, such as gpu-1 (lower-case letters, "
            "digits, dots and hyphens)"
        )
    return name


def check_broker(broker: str) -> str:
    """Raises ValueError."""
    try:
        parts = urlsplit(broker)
        known = parts.scheme in BROKERS and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known:
        raise ValueError(
            f"[queue] broker {bare(broker)!r:.100} is no address of a broker, such as "
            f"redis://broker.lab:6379/0 or amqp://user:password@broker.lab/ ({', '.join(BROKERS)})"
        )
    return broker


def bare(broker: str) -> str:
    """A broker's address without its password."""
    head, at, tail = broker.rpartition("@")
    scheme, mark, user = head.partition("://")
    return f"{scheme}{mark}{user.partition(':')[0]}:…@{tail}" if at else broker


def load(path: Path, name: str) -> Config:
    """Read the settings of the node `name`. Raises BadConfig."""
    if not path.exists():
        raise BadConfig(
            f"{path} does not exist: start it once with --broker, --url and --work as the "
            "cluster's page shows"
        )
    settings = config.load(path)
    if settings.carrier != config.QUEUE:
        raise BadConfig(f"{path}: [agent] carrier must be {config.QUEUE}")
    try:
        check_broker(settings.queue.get("broker", ""))
        prefix_of(settings.key)
    except ValueError as error:
        raise BadConfig(f"{path}: {error}") from None
    if settings.queue.get("name") != name:
        raise BadConfig(f"{path} is of the node {settings.queue.get('name')!r:.80}, not {name!r}")
    return settings


def write(path: Path, name: str, given: Mapping[str, str]) -> None:
    """Write what was given (broker, url, key, ca_file; work, slots, cores, gpus); the rest of an
    existing file stays. Raises BadConfig.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        if path.exists():
            parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
        for section in ("portal", "agent", "queue"):
            if not parser.has_section(section):
                parser.add_section(section)
        if "broker" in given:
            check_broker(given["broker"])
    except (OSError, UnicodeDecodeError, ValueError, configparser.Error) as error:
        raise BadConfig(f"{path}: {error}") from None
    parser["queue"]["name"], parser["agent"]["carrier"] = name, config.QUEUE
    for word, value in given.items():
        section = {"broker": "queue", "url": "portal", "key": "portal", "ca_file": "portal"}
        parser[section.get(word, "agent")][word] = value.strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        parser.write(stream)
    temporary.replace(path)
