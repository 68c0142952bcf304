"""The rehearsal's program is there for those who run the portal, and for nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from calculations.software import registry
from calculations.software.base import Resources
from calculations.software.rehearsal import Rehearsal
from calculations.software.results import Exit, Verdict
from clusters.agent.config import Config
from clusters.agent.discovery import discover


def config(tmp_path: Path, **software: dict[str, str]) -> Config:
    return Config("http://localhost", "key", tmp_path, 1, software=software)


def test_scientists_are_not_offered_it() -> None:
    assert "rehearsal" in registry.all_software()
    assert "rehearsal" not in registry.offered_software()
    assert "rehearsal" not in str(registry.UnknownSoftware("x"))


def test_only_an_agent_that_is_told_so_has_it(tmp_path: Path) -> None:
    assert "rehearsal" not in discover(config(tmp_path))
    found = discover(config(tmp_path, rehearsal={"marks": str(tmp_path)}))
    assert found["rehearsal"] == {"version": "1", "ok": True, "problem": ""}
    assert "pyscf" in found, "what is missing is told of all others"


def test_each_execution_leaves_a_mark(tmp_path: Path) -> None:
    words = Rehearsal().command({"seconds": 2.5}, Resources(), {"marks": str(tmp_path)})
    assert words[-2:] == [str(tmp_path), "2.5"]
    assert '>>"$0/ran"' in words[2]


@pytest.mark.parametrize(
    ("ended", "verdict"),
    [
        (Exit(0, None, False), Verdict.VALID),
        (Exit(1, None, False), Verdict.FAILED),
        (Exit(137, 9, False), Verdict.FAILED),
        (Exit(143, 15, True), Verdict.FAILED),
    ],
)
def test_its_verdict_is_its_exit_code(ended: Exit, verdict: Verdict, tmp_path: Path) -> None:
    assert Rehearsal().judge(tmp_path, ended).verdict is verdict
