"""What must be in place for an agent, a line each, for the command lines' checks."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from clusters.agent.client import Address, Connection, Refused, Unreachable
from clusters.agent.commands import call
from clusters.agent.config import Config
from clusters.agent.discovery import discover
from clusters.agent.schedulers.choice import dialect_of

Line = tuple[bool, str]


def portal(settings: Config) -> Line:
    connection = Connection(Address(settings.url, settings.key, settings.ca_file))
    try:
        connection.probe()
    except (Unreachable, Refused) as error:
        return False, f"portal {settings.url}: {error}"
    finally:
        connection.close()
    return True, f"portal {settings.url} accepts the key"


def machine(settings: Config) -> list[Line]:
    settings.work.mkdir(parents=True, exist_ok=True, mode=0o700)
    free = shutil.disk_usage(settings.work).free // 2**20
    enough = free >= settings.minimum_free_mib
    return [
        (enough, f"work folder {settings.work}: {free} MiB free"),
        (bool(shutil.which("sh")), "a POSIX shell"),
        (True, f"Python {sys.version.split()[0]}"),
        scheduler(settings),
    ]


def scheduler(settings: Config) -> Line:
    """Whether the programs of the batch scheduler are here and answer. Raises BadConfig."""
    dialect = dialect_of(settings)
    if dialect is None:
        return True, "scheduler: none, programs run as processes of this machine"
    words, options = dialect.version_arguments(), dialect.options
    answer = call(words, timeout_s=options.timeout_s, folders=options.path)
    return answer.good, f"scheduler: {(answer.out.strip() or answer.words).splitlines()[0][:200]}"


def programs(settings: Config) -> list[Line]:
    """One that is missing keeps no agent from working."""
    found = discover(settings).items()
    return [(one["ok"], f"{name}: {one['version'] or one['problem']}") for name, one in found]


def say(needed: Sequence[Line], more: Sequence[Line]) -> bool:
    """Print all lines; return whether what is needed is in place."""
    for good, text in [*needed, *more]:
        print(f"{'ok     ' if good else 'MISSING'} {text}")
    return all(good for good, _ in needed)
