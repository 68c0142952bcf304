"""Work at its edges: a newer agent took over, a job never began, calls that are routine."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from calculations.software.base import RunSpec
from calculations.software.results import Exit
from clusters.agent.calls import Calls
from clusters.agent.evaluation import evaluate
from clusters.agent.loop import EventLoop
from clusters.agent.schedulers.base import TryLater
from clusters.agent.starting import Starting


def test_what_waits_to_be_submitted_is_left_to_a_newer_agent() -> None:
    submitted: list[Any] = []
    scheduler = SimpleNamespace(blocking=True, start_many=submitted.append)
    newer = [False]
    lifecycle = SimpleNamespace(scheduler=scheduler, superseded=lambda: newer[0])
    starting = Starting(lifecycle)  # type: ignore[arg-type]
    starting._start([])
    newer[0] = True
    try:
        starting._start([])
    except TryLater as error:
        assert "newer agent" in str(error)
    assert len(submitted) == 1


def test_what_a_scheduler_ended_before_it_began_is_reported_without_the_plug_in(
    tmp_path: Path,
) -> None:
    def no_plugin(_: str) -> Any:
        return SimpleNamespace(extract=lambda folder: (folder / "output.out").read_text())

    spec = RunSpec.from_json({"run": "r", "attempt": 1, "software": "chaos", "parameters": {}})
    exit = Exit(None, None, False, ending="cancelled")
    said = ["sacct: 7 CANCELLED by 0"]
    report = evaluate(no_plugin, spec, tmp_path, exit, "", said, has_begun=False)
    assert report["outcome"]["code"] == "cancelled_outside"
    assert report["outcome"]["evidence"] == said
    assert report["results"] == {"quantities": [], "datasets": []}


def test_routine_calls_are_not_in_hand() -> None:
    loop, go = EventLoop(), threading.Event()
    calls = Calls(SimpleNamespace(blocking=True), loop)  # type: ignore[arg-type]
    calls.make(lambda: go.wait(10), lambda *_: None, routine=True)
    assert (calls.active, calls.pressing) == (1, 0)
    calls.make(lambda: None, lambda *_: loop.stop())
    assert (calls.active, calls.pressing) == (2, 1)
    go.set()
    loop.run()
    assert (calls.active, calls.pressing) == (0, 0)
    loop.close()
