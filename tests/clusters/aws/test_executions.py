"""Runs as functions of AWS, from the queue to stored results, against moto's server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from calculations.models import OutputFile
from calculations.services import drafts, submission
from calculations.software.torch_inference.networks import redshift
from clusters import placement
from clusters.models import AwsAccess
from tests.calculations.factories import draft
from tests.calculations.software.torch_inference.executions import SAMPLES, data_set
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


def failure(run: Any) -> tuple[str, str]:
    return run.state, run.attempts.get().code


def test_the_reduced_result_does_not_hang_on_the_number_of_ranks(
    site: Site, machine: Machine
) -> None:
    means = [quantity(done(site, machine, ranks=ranks), "mean_prediction") for ranks in (1, 2, 5)]
    assert means == pytest.approx([means[0]] * 3, rel=1e-5)
    assert AwsAccess.objects.get().learned_samples_per_s > 0


def test_a_data_set_of_the_bucket_is_read_in_order_and_pinned(
    site: Site, machine: Machine, tmp_path: Path
) -> None:
    machine.bring(data_set(tmp_path / "safe"), "data/safe")
    machine.bring(data_set(tmp_path / "npz", suffix=".npz"), "data/npz")
    found = [done(site, machine, source="folder", folder=name) for name in ("safe", "npz")]
    assert [quantity(run, "samples") for run in found] == [sum(SAMPLES)] * 2
    assert quantity(found[0], "mae") == pytest.approx(quantity(found[1], "mae"))
    plan = json.loads(machine.read(f"labportal/{found[0].pk}/1/plan.json"))
    assert [item["key"] for item in plan["partitions"]] == [
        f"data/safe/{number}.safetensors" for number in (1, 2, 3)
    ]
    assert all(item["etag"] for item in plan["partitions"])


def test_files_and_weights_of_the_calculation_travel_by_the_bucket(
    site: Site, machine: Machine, tmp_path: Path
) -> None:
    folder = data_set(tmp_path / "set")
    network = redshift.build(3)
    redshift.save(network, tmp_path / "w.safetensors")
    wishes = {"source": "files", "files": "1.safetensors\n2.safetensors", "weights": "file"}
    parameters = {**wishes, "weights_file": "w.safetensors", "ranks": 2, "batch_size": 16}
    calculation = draft(site.ada, software="torch_inference", parameters=parameters)
    for path in (folder / "1.safetensors", folder / "2.safetensors", tmp_path / "w.safetensors"):
        with path.open("rb") as stream:
            drafts.attach(calculation, path.name, stream, actor=site.ada)
    submission.submit(calculation, actor=site.ada)
    placement.place()
    run = calculation.runs.get()
    site.look()
    machine.work()
    site.look()
    run.refresh_from_db()
    assert failure(run) == ("valid", "complete")
    assert quantity(run, "samples") == sum(SAMPLES[:2])


def test_a_partition_that_was_changed_since_the_plan_is_named(
    site: Site, machine: Machine, tmp_path: Path
) -> None:
    machine.bring(data_set(tmp_path / "set"), "data/set")
    run = site.run_of(source="folder", folder="set")
    site.look()
    machine.put("data/set/2.safetensors", b"another")
    answers = machine.work()
    site.look()
    run.refresh_from_db()
    assert [a.get("error") for a in answers if "error" in a] == ["Problem"]
    assert failure(run) == ("failed", "data_changed")


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"1.safetensors": b"x" * 100}, "bad_partition"),
        ({"1.npz": b"PK no zip"}, "bad_partition"),
        ({"1.pt": b"pickle"}, "not_converted"),
        ({"1.npz": b"", "3.npz": b""}, "partition_missing"),
        ({"readme.txt": b"x"}, "no_data"),
    ],
)
def test_data_that_cannot_be_used_starts_nothing(
    site: Site, machine: Machine, files: dict[str, bytes], code: str
) -> None:
    for name, content in files.items():
        machine.put(f"data/set/{name}", content)
    run = site.run_of(source="folder", folder="set")
    site.look()
    run.refresh_from_db()
    assert failure(run) == ("failed", code)
    assert machine.executions == []


@pytest.mark.parametrize(
    ("access", "parameters", "code"),
    [
        ({}, {"device": "cuda"}, "no_gpu"),
        ({}, {"threads": 4}, "too_many_threads"),
        ({}, {"launch": "torchrun"}, "launch_not_here"),
        ({"most_at_once": 1}, {}, "function_concurrency"),
        ({"memory_mib": 256}, {}, "function_memory"),
        ({"samples_per_s": 0.015}, {}, "function_time"),
    ],
)
def test_what_lambda_does_not_allow_is_refused_before_the_start(
    site: Site, machine: Machine, access: Any, parameters: Any, code: str
) -> None:
    AwsAccess.objects.update(**access)
    run = site.run_of(**parameters)
    site.look()
    run.refresh_from_db()
    assert failure(run) == ("failed", code)
    assert run.attempts.get().remedy
    assert machine.executions == []


def test_a_rank_that_left_no_result_is_never_passed_over(site: Site, machine: Machine) -> None:
    run = site.run_of(ranks=3)
    site.look()
    machine.work(only=2)
    machine.end(machine.executions[0])  # AWS says SUCCEEDED all the same
    site.look()
    run.refresh_from_db()
    assert failure(run) == ("failed", "ranks_missing")
    assert "1 of 3 ranks left no result: 2" in run.attempts.get().message


def test_a_function_whose_time_is_over_says_how_far_it_was(site: Site, machine: Machine) -> None:
    run = site.run_of()
    site.look()
    machine.work(left_s=1.0)
    site.look()
    run.refresh_from_db()
    assert failure(run) == ("failed", "function_time")
    assert "done 0 samples" in run.attempts.get().message


def test_an_execution_that_failed_outside_the_functions_is_named(
    site: Site, machine: Machine
) -> None:
    run = site.run_of()
    site.look()
    machine.end(machine.executions[0], {"error": "Lambda.Unknown", "cause": "out of memory"})
    site.look()
    run.refresh_from_db()
    assert failure(run) == ("failed", "execution_failed")
    assert "out of memory" in str(run.attempts.get().evidence) + run.attempts.get().message


def test_what_was_used_is_billed_by_the_memory_that_was_given(site: Site, machine: Machine) -> None:
    run = site.run_of()
    site.look()
    machine.work(memory_mib=2048)
    site.look()
    ranks = [json.loads(machine.read(f"labportal/{run.pk}/1/ranks/{r}.json")) for r in (0, 1)]
    billed = sum(rank["billed_s"] for rank in ranks)
    assert quantity(run, "billed_gb_s") == pytest.approx(billed * 2, abs=1e-3)
    assert quantity(run, "function_requests") == 2
    assert quantity(run, "transitions") == 8
    price = billed * 2 * 0.0000166667 + 2 * 2e-7 + 8 * 0.000025
    assert quantity(run, "function_price") == pytest.approx(price, rel=1e-3)
    assert "GB-s billed" in str(run.attempts.get().accounting["evidence"])
