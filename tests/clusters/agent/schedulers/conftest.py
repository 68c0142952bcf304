"""A scripted Slurm, and jobs for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calculations.software.base import Resources
from clusters.agent.schedulers.base import Job
from tests.clusters.agent.schedulers.scripted import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    numbers = itertools.count(1)

    def make(group: str = "", **asked: Any) -> Job:
        run = f"run{next(numbers)}"
        folder, control = tmp_path / run / "1", tmp_path / run / ".1"
        folder.mkdir(parents=True)
        control.mkdir()
        resources = Resources(tasks=1, **asked)
        return Job((run, 1), folder, control, ["true"], {}, "out", resources=resources, group=group)

    return make
