"""What must be in place for an agent, a line each, for the command lines' checks."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from clusters.agent.client import Address, Connection, Refused, Unreachable
from clusters.agent.commands import Answer, call
from clusters.agent.config import Config
from clusters.agent.discovery import discover
from clusters.agent.runtimes.choice import runtimes_for
from clusters.agent.schedulers.choice import dialect_of
from clusters.agent.schedulers.dialect import Dialect
from clusters.agent.serving_address import NoAddress, own_address
from clusters.agent.serving_config import ENGINES, PROCESS

Line = tuple[bool, str]
MOST_NAMED = 20
ALL = {"SINFO_ALL": "1"}  # hidden partitions take jobs as well


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
        *scheduler(settings),
    ]


def scheduler(settings: Config) -> list[Line]:
    """Whether the programs of the batch scheduler are here and answer, and know the partition that
    is named. Raises BadConfig.
    """
    dialect = dialect_of(settings)
    if dialect is None:
        return [(True, "scheduler: none, programs run as processes of this machine")]
    answer = _asked(dialect, dialect.version_arguments())
    version = dialect.parse_version(answer)  # some tell it with another exit code than 0
    if not version:
        words = (answer.out.strip() or answer.words).splitlines()[0][:200]
        return [(False, f"scheduler: {words}")]
    found = (True, f"scheduler: {settings.scheduler} {version}")
    return [found, *(_partitions(dialect.adapted(version)) if dialect.options.partition else ())]


def _partitions(dialect: Dialect) -> list[Line]:
    """Nothing where the scheduler does not tell which it has."""
    answers = [_asked(dialect, words, ALL) for words in dialect.limits_arguments()]
    limits = dialect.parse_limits(answers) or {}
    there = [one["name"] for one in limits.get("partitions", ())]
    wanted = [name.partition("@")[0].strip() for name in dialect.options.partition.split(",")]
    absent = [name for name in wanted if name not in there]
    if not there:
        return []
    if absent:
        known = ", ".join(there[:MOST_NAMED])
        return [(False, f"partition: {', '.join(absent)} takes no jobs here; there are {known}")]
    return [(True, f"partition: {', '.join(wanted)}")]


def _asked(
    dialect: Dialect, words: Sequence[str], environment: Mapping[str, str] | None = None
) -> Answer:
    options = dialect.options
    return call(words, timeout_s=options.timeout_s, folders=options.path, environment=environment)


def programs(settings: Config) -> list[Line]:
    """One that is missing keeps no agent from working."""
    found = discover(settings).items()
    return [(one["ok"], f"{name}: {one['version'] or one['problem']}") for name, one in found]


def models(settings: Config) -> list[Line]:
    """What models are served with; an agent works without them, and one engine is enough."""
    serving = settings.serving
    if serving.refusal:
        return [(True, f"models: {serving.refusal}")]
    found = [
        (kind, runtime.about(), runtime.remedy) for kind, runtime in runtimes_for(settings).items()
    ]
    has_engine = any(about is not None and kind in ENGINES for kind, about, _ in found)
    lines = [
        (about is not None, f"models by {kind}: {_words(about) if about else remedy}")
        for kind, about, remedy in found
        if about is not None or kind not in ENGINES or not has_engine
    ]
    if PROCESS in serving.runtimes and not serving.folders:
        lines.append((False, "models by process: name where they may lie ([serving] folders)"))
    try:
        lines.append((True, f"models listen on {own_address(settings)}"))
    except NoAddress as error:
        lines.append((False, f"models: {error}"))
    return lines


def _words(about: Mapping[str, Any]) -> str:
    """Say what a runtime tells of itself."""
    held = ", ".join(about["limits"]) or "nothing"
    account = "without root" if about["rootless"] else "as root"
    gpus = "with GPUs" if about["gpus"] else "without GPUs"
    return f"{about['version']}, {account}, {gpus}; it holds models to their {held}"


def say(needed: Sequence[Line], more: Sequence[Line]) -> bool:
    """Print all lines; return whether what is needed is in place."""
    for good, text in [*needed, *more]:
        print(f"{'ok     ' if good else 'MISSING'} {text}")
    return all(good for good, _ in needed)
