"""Which scheduler an agent uses, by its settings; the one place that knows all of them."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from importlib import import_module

from clusters.agent.config import BadConfig, Config
from clusters.agent.schedulers.base import Key, Scheduler
from clusters.agent.schedulers.batch import BatchScheduler
from clusters.agent.schedulers.dialect import Dialect
from clusters.agent.schedulers.options import Options
from clusters.agent.schedulers.process import ProcessScheduler

DIALECTS = {
    "slurm": "clusters.agent.schedulers.slurm:Slurm",
    "pbs": "clusters.agent.schedulers.pbs:Pbs",
}
SPOOL = "scheduler"  # below the work folder


def dialect_of(config: Config) -> Dialect | None:
    """Return the language of the configured scheduler, None for plain processes. Raises
    BadConfig.
    """
    if config.scheduler not in DIALECTS:
        return None
    module, _, name = DIALECTS[config.scheduler].partition(":")
    try:
        return getattr(import_module(module), name)(Options.read(config.scheduler_options))
    except ValueError as error:
        raise BadConfig(str(error)) from None


def scheduler_for(
    config: Config, selector: selectors.BaseSelector, ended: Callable[[Key], None]
) -> Scheduler:
    """Return the scheduler; `ended` is called with jobs that ended, where it can tell by itself.
    Raises BadConfig.
    """
    dialect = dialect_of(config)
    if dialect is None:
        return ProcessScheduler(selector, ended)
    return BatchScheduler(dialect, config.work / SPOOL)


def slots_of(config: Config) -> int:
    """How many jobs the agent may have started and not ended. Raises BadConfig."""
    dialect = dialect_of(config)
    return config.slots if dialect is None else dialect.options.max_jobs


def launcher_of(config: Config) -> str:
    """With what MPI programs of several tasks start where the site names nothing."""
    dialect = dialect_of(config)
    return "" if dialect is None else dialect.launcher
