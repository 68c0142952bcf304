"""A whole rehearsal at a running portal: every run ends once, and nothing is left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.stack import ROOT, Stack

COUNT = """
import json
from calculations.models import Calculation
from clusters.models import Cluster
from labportal.accounts.models import Project, User
print(json.dumps([m.objects.count() for m in (Calculation, Cluster, Project, User)]))
"""
PLAN = """
0 * submit_error times=1
0 * time_out programs=squeue,qstat times=1
1 * agent_kill seconds=0
2 * forget programs=squeue,qstat share=1 times=1
15 * heal
"""


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("whole")
def test_every_run_ends_once_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "plan").write_text(PLAN)
    with Stack(clusters=0) as stack:
        stack.start_web()
        stack.start_worker()
        stack.start_beat()
        before = stack.python(COUNT)
        words = ["rehearse", "--yes", "--sites", "slurm,pbs", "--runs", "8"]
        done = subprocess.run(
            [sys.executable, "manage.py", *words, "--plan", str(tmp_path / "plan")],
            cwd=ROOT,
            env=stack.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr + stack.tail("worker")
        assert stack.python(COUNT) == before
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["n"], said["sites"]) == (8, 2)
    assert said["valid"] + said["failed"] == 8
    assert (said["open"], said["doubled"], said["submitted_twice"]) == (0, 0, 0)
    assert said["faults"] >= 3
    assert "slurm-1" in done.stdout and "portal says" in done.stdout
