"""Runs as functions of AWS, from the queue to stored results, against moto's server."""

from __future__ import annotations

from typing import Any

import pytest

from calculations.models import OutputFile
from tests.clusters.aws.conftest import Site
from tests.clusters.aws.machine import Machine

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("aws")]


def done(site: Site, machine: Machine, **parameters: Any) -> Any:
    run = site.run_of(**parameters)
    site.look()
    machine.work()
    site.look()
    run.refresh_from_db()
    return run


def quantity(run: Any, name: str) -> Any:
    return run.quantities.get(name=name).value


def test_a_run_becomes_functions_and_comes_back_as_results(site: Site, machine: Machine) -> None:
    run = done(site, machine)
    attempt = run.attempts.get()
    assert (run.state, attempt.code) == ("valid", "complete"), attempt.evidence
    assert quantity(run, "samples") == 24
    assert quantity(run, "ranks") == 2
    kept = set(OutputFile.objects.filter(run=run).values_list("name", flat=True))
    assert kept >= {"plan.json", "results.json", "predictions.parquet", "output.out"}
    assert not site.access.cluster.aws_executions.exists()
