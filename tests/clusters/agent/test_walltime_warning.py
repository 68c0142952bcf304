"""The walltime is nearly over: when that is, and that the portal hears of it."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clusters.agent.records import Phase, Record
from clusters.agent.schedulers.base import Job
from clusters.agent.watching import Watching, warning_s


@pytest.mark.parametrize(
    ("walltime_s", "before_s"), [(600, 0.0), (1800, 180.0), (3600, 360.0), (864_000, 1800.0)]
)
def test_long_runs_are_warned_of_a_tenth_before(walltime_s: int, before_s: float) -> None:
    assert warning_s(walltime_s) == before_s


@pytest.fixture
def seen() -> dict[str, Any]:
    return {"later": [], "news": 0}


@pytest.fixture
def watching(seen: dict[str, Any]) -> Watching:
    def news(delay_s: float) -> None:
        seen["news"] += 1

    lifecycle = SimpleNamespace(
        config=None,
        jobs={},
        journal=SimpleNamespace(settings={}),
        scheduler=SimpleNamespace(overtime_s=0.0, poll_s=0.0),
        loop=SimpleNamespace(later=lambda delay, call: seen["later"].append((delay, call))),
        news=news,
    )
    return Watching(lifecycle)  # type: ignore[arg-type]


def running(tmp_path: Path, *, since_s: float) -> tuple[Record, Job]:
    spec = {"resources": {"walltime_s": 3600}}
    record = Record("r", 1, spec, phase=Phase.RUNNING, started_at=time.time() - since_s)
    return record, Job(("r", 1), tmp_path, tmp_path, ("true",), {}, "out.txt", "")


def test_the_portal_hears_how_long_is_left(
    watching: Watching, seen: dict[str, Any], tmp_path: Path
) -> None:
    record, job = running(tmp_path, since_s=600)
    watching.lifecycle.jobs[record.key] = job
    watching.begin(record, job)
    delay, warn = next(one for one in seen["later"] if one[1].__code__.co_names[:1] == ("_warn",))
    assert delay == pytest.approx(3600 - 600 - 360, abs=5)
    assert "walltime_left_s" not in record.entry()
    warn()
    assert seen["news"] == 1
    assert record.entry()["walltime_left_s"] == pytest.approx(3000, abs=5)
    record.phase = Phase.EVALUATING
    assert "walltime_left_s" not in record.entry()


def test_a_run_that_has_ended_meanwhile_is_left_alone(
    watching: Watching, seen: dict[str, Any], tmp_path: Path
) -> None:
    record, job = running(tmp_path, since_s=3400)
    watching.begin(record, job)
    for _, call in seen["later"]:
        if "_warn" in call.__code__.co_names:
            call()
    assert (seen["news"], record.ends_at) == (0, None)
