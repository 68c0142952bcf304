"""Ranks on two nodes of a real Slurm, from the agent's submission to the reduced result."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import pytest

from calculations.software.registry import get_software
from tests.clusters.agent.conftest import AgentProcess
from tests.clusters.agent.fake_portal import FakePortal
from tests.clusters.agent.slurm.conftest import SETTINGS
from tests.slurm.site import SlurmSite

pytest.importorskip("torch")
SITE = f"[software.torch_inference]\npython = {sys.executable}\naddress = 127.0.0.1\n"


@pytest.mark.parametrize(("launch", "hosts"), [("fork", 2), ("tasks", 3)])
def test_ranks_on_two_nodes_meet_and_give_one_result(
    tmp_path: Path, portal: FakePortal, site: SlurmSite, launch: str, hosts: int
) -> None:
    asked = {"samples": 12, "partitions": 3, "batch_size": 8, "ranks": 3, "launch": launch}
    tasks = 0 if launch == "fork" else 3
    cores = 4 if launch == "fork" else 3
    resources = {"cores": cores, "nodes": 2, "tasks": tasks, "memory_mib": 7000, "walltime_s": 300}
    key = portal.want(
        {
            "run": str(uuid.uuid4()),
            "attempt": 1,
            "software": "torch_inference",
            "parameters": get_software("torch_inference").check(asked),
            "analyses": [],
            "resources": resources,
            "files": [],
            "carry": None,
        }
    )
    agent = AgentProcess(tmp_path, portal, SETTINGS + SITE, site.environment)
    agent.start()
    try:
        report = portal.report_of(key, 150)
    finally:
        agent.kill()
    assert report["outcome"]["code"] == "complete", report["outcome"]
    found = {q["name"]: q["value"] for q in report["results"]["quantities"]}
    assert (found["ranks"], found["nodes"], found["samples"]) == (3, 2, 36)
    ranks = next(d for d in report["results"]["datasets"] if d["name"] == "ranks")
    nodes = next(column for column in ranks["columns"] if column["name"] == "node")
    assert len(set(nodes["values"])) == hosts
    assert not list(tmp_path.rglob(".rendezvous*"))
