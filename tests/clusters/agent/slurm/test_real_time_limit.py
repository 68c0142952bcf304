"""Real Slurm's own time limit. The last file of the folder: it takes a minute and a half, and began
with the first.
"""

from __future__ import annotations

from tests.clusters.agent.slurm.conftest import Overdue


def test_slurm_ends_what_takes_too_long(overdue: Overdue) -> None:
    report = overdue.portal.report_of(overdue.key, 150)
    assert report["state"] == "finished"
    assert report["outcome"]["code"] == "walltime"
    assert report["exit"]["ending"] == "timeout"
    assert report["exit"]["timed_out"]
    assert report["accounting"]["state"] == "TIMEOUT"
    assert report["usage"]["elapsed_s"] > 59
    assert any("DUE TO TIME LIMIT" in line for line in report["accounting"]["evidence"])
    assert overdue.portal.texts() == ["begun"]
