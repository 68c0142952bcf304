"""What deploy/aws allows is what is called, no more and no less; what it refers to is there."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import pytest
from moto.iam.access_control import IAMPolicy, PermissionResult

from calculations.services import lifecycle
from clusters.models import Purge
from clusters.transports.aws import signing, tasks, trial
from clusters.transports.aws.clients import Clients
from tests.calculations.software.torch_inference.executions import data_set
from tests.clusters.aws.conftest import Site
from tests.clusters.aws.machine import ASL, ROOT, Machine
from tests.clusters.aws.policies import DEPLOY, PLACES, actions, policy

MAIN = (DEPLOY / "main.tf").read_text()
PACKAGE = ROOT / "clusters/transports/aws"
PROGRAM = ROOT / "calculations/software/torch_inference/program"
#: What AWS asks for, by the method of a client; a new call needs a line here and in a policy.
NEEDS = {
    "describe_execution": {"states:DescribeExecution"},
    "describe_state_machine": {"states:DescribeStateMachine"},
    "start_execution": {"states:StartExecution"},
    "stop_execution": {"states:StopExecution"},
    "get_caller_identity": set(),  # everybody may
    "head_bucket": {"s3:ListBucket"},
    "list_objects_v2": {"s3:ListBucket"},
    "head_object": {"s3:GetObject", "s3:ListBucket"},  # without the second, 403 for what is missing
    "get_object": {"s3:GetObject", "s3:ListBucket"},
    "put_object": {"s3:PutObject"},
    "upload_fileobj": {"s3:PutObject", "s3:AbortMultipartUpload"},
    "delete_objects": {"s3:DeleteObject"},
}
CLIENTS = {"s3", "states", "identity", "client"}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}  # of each function, by Lambda itself
#: What a distributed map needs, by what stands in the definition of the state machine.
MAP_NEEDS = {
    "arn:aws:states:::lambda:invoke": {"lambda:InvokeFunction"},
    "arn:aws:states:::s3:getObject": {"s3:GetObject"},
    "arn:aws:states:::s3:putObject": {
        "s3:GetObject",
        "s3:PutObject",
        "s3:ListMultipartUploadParts",
        "s3:AbortMultipartUpload",
    },
    "DISTRIBUTED": {"states:StartExecution", "states:DescribeExecution", "states:StopExecution"},
}


def called(*paths: Path) -> set[str]:
    """The methods of clients that the files name."""
    found = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            holder = node.func.value
            name = getattr(holder, "attr", getattr(holder, "id", ""))
            if name not in CLIENTS:
                continue
            paged = node.func.attr == "get_paginator" and isinstance(node.args[0], ast.Constant)
            found.add(str(node.args[0].value) if paged else node.func.attr)
    return found - {"client"}


def needs(methods: set[str]) -> set[str]:
    return {action for method in methods for action in NEEDS[method]}


def test_the_portals_policy_allows_what_the_portal_calls_and_nothing_else() -> None:
    methods = called(*PACKAGE.glob("*.py"))
    assert "start_execution" in methods
    assert methods <= NEEDS.keys()
    assert needs(methods) == actions("portal")


def test_the_functions_policy_allows_what_a_rank_calls_and_nothing_else() -> None:
    methods = called(PROGRAM / "bootstrap.py", PROGRAM / "function.py")
    assert methods == {"get_object", "put_object"}
    assert needs(methods) | LOGS == actions("function")


def test_the_state_machines_policy_allows_what_its_map_does_and_nothing_else() -> None:
    text = ASL.read_text()
    assert set(re.findall(r'"Resource": "([^"]+)"', text)) == set(MAP_NEEDS) - {"DISTRIBUTED"}
    assert '"DISTRIBUTED"' in text
    assert set().union(*MAP_NEEDS.values()) == actions("machine")


# Where it may


@pytest.fixture
def asked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """The calls that the portal makes, with what they ask for."""
    signing.forget()
    found: list[tuple[str, dict[str, Any]]] = []

    def hear(params: dict[str, Any], model: Any, **_: Any) -> None:
        found.append((model.name, dict(params)))

    monkeypatch.setattr(signing, "forget", lambda: None)  # the trial shall not
    clients = Clients(site.access)
    for client in (clients.s3, clients.states):
        client.meta.events.register("provide-client-params.*.*", hear)
    yield found
    monkeypatch.undo()
    signing.forget()


def places(params: dict[str, Any]) -> list[str]:
    for name in ("executionArn", "stateMachineArn"):
        if name in params:
            return [params[name]]
    keys = [item["Key"] for item in params.get("Delete", {}).get("Objects", ())]
    keys = keys or [params[name] for name in ("Key",) if name in params]
    return [f"{PLACES['bucket']}/{key}" for key in keys] or [PLACES["bucket"]]


ASKED = {
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "DeleteObjects": "s3:DeleteObject",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
}


@pytest.mark.django_db
@pytest.mark.xdist_group("aws")
def test_everything_the_portal_does_is_allowed_where_it_does_it(
    site: Site, machine: Machine, asked: list[tuple[str, dict[str, Any]]], tmp_path: Path
) -> None:
    machine.bring(data_set(tmp_path / "set"), "data/set")
    assert trial.run(site.access)
    run = site.run_of(source="folder", folder="set")
    site.look()
    site.look()
    lifecycle.cancel(run.calculation, actor=site.ada)
    site.look()
    Purge.objects.create(cluster=site.access.cluster, run=run, attempt=1)
    type(site.access.cluster).objects.update(purges_pending=1)
    site.exchange()
    tasks.purge(site.access.pk)

    allowed = IAMPolicy(json.dumps(policy("portal")))
    assert {name for name, _ in asked} >= {*ASKED, "StartExecution", "StopExecution"}
    for name, params in asked:
        action = ASKED.get(name, f"states:{name}")
        for place in places(params):
            found = allowed.is_action_permitted(action, place)
            assert found is PermissionResult.PERMITTED, (name, place)


# What Terraform reads


def test_what_terraform_refers_to_is_declared_and_all_of_it_is_used() -> None:
    declared = set(re.findall(r'^variable "(\w+)"', MAIN, re.MULTILINE))
    assert declared == set(re.findall(r"\bvar\.(\w+)", MAIN))
    block = MAIN.partition("\nlocals {\n")[2].partition("\n}\n")[0]
    assert set(re.findall(r"^  (\w+) +=", block, re.MULTILINE)) == set(
        re.findall(r"\blocal\.(\w+)", MAIN)
    )
    made = {".".join(pair) for pair in re.findall(r'^resource "(\w+)" "(\w+)"', MAIN, re.MULTILINE)}
    named = set(re.findall(r"(?<!data\.)\b(aws_\w+\.\w+)", MAIN))
    assert named <= made
    data = {".".join(pair) for pair in re.findall(r'^data "(\w+)" "(\w+)"', MAIN, re.MULTILINE)}
    assert set(re.findall(r"\bdata\.(\w+\.\w+)", MAIN)) == data


def test_each_file_is_given_the_words_that_it_has() -> None:
    filled = dict(
        re.findall(r'templatefile\("\$\{path\.module\}/(\S+)", \{(.*?)\n  \}\)', MAIN, re.S)
    )
    files = {str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*.json")}
    assert set(filled) == files
    for name, given in filled.items():
        words = re.findall(r"\$\{(\w+)\}", (DEPLOY / name).read_text())
        assert set(re.findall(r"^    (\w+) +=", given, re.MULTILINE)) == set(words), name
        json.loads(Template((DEPLOY / name).read_text()).safe_substitute(PLACES))


def test_the_container_has_the_libraries_that_the_portal_tests_with() -> None:
    wanted = re.findall(
        r'"((?:torch|numpy|safetensors)==[\d.]+)"', (DEPLOY / "Containerfile").read_text()
    )
    project = (ROOT / "pyproject.toml").read_text()
    assert len(wanted) == 3
    assert [one for one in wanted if f'"{one}' not in project] == []
