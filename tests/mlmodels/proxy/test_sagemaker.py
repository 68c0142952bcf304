"""boto3's own client and plain curl call one and the same model server: by itself and through the
portal, as a process and in a container.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from mlmodels.examples.bundle import bundle, describe
from tests.containers import CONTAINERS
from tests.mlmodels.examples.containers import build, run
from tests.mlmodels.examples.running import Running, example, running
from tests.mlmodels.proxy.conftest import Shelf
from tests.mlmodels.proxy.door import Door

EXAMPLE = describe("echo")["example"]
ATTRIBUTES = "frames_per_second=50"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with example("echo", tmp_path_factory.mktemp("echo")) as server:
        yield server


def client(port: int, token: str = "none") -> Any:
    """As a program would make it that calls Amazon's endpoints, with two more words."""
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="lab",
        aws_access_key_id="labportal",
        aws_secret_access_key="unused",
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def invoke(port: int, **options: Any) -> dict[str, Any]:
    token = options.pop("token", "none")
    given = {"EndpointName": "echo", "ContentType": "application/json", "Body": EXAMPLE}
    return client(port, token).invoke_endpoint(**{**given, **options})


def refused(port: int, **options: Any) -> int:
    with pytest.raises(ClientError) as refusal:
        invoke(port, **options)
    return refusal.value.response["ResponseMetadata"]["HTTPStatusCode"]


def curl(port: int, path: str, *options: str) -> Any:
    command = ["curl", "--silent", "--show-error", "--fail-with-body", *options]
    kind = "Content-Type: application/json"
    body = subprocess.run(
        [*command, "--header", kind, "--data", EXAMPLE, f"http://127.0.0.1:{port}{path}"],
        capture_output=True,
        check=True,
    )
    return json.loads(body.stdout)


def check_all_four(server: Running, door: Door, shelf: Shelf) -> None:
    """boto3 and curl, at the server itself and at the portal."""
    own, portal = server.subject.port, door.port
    shelf.add(f"127.0.0.1:{own}")
    for port, token in ((own, "none"), (portal, "ada's")):
        answer = invoke(port, token=token, CustomAttributes=ATTRIBUTES, InferenceId="42")
        assert answer["ContentType"] == "application/json"
        assert json.loads(answer["Body"].read()) == json.loads(EXAMPLE)
        assert answer["CustomAttributes"] == ATTRIBUTES
        assert refused(port, token=token, ContentType="image/png") == 415
    if shutil.which("curl"):
        bearer = ("--header", "Authorization: Bearer ada's")
        assert curl(own, "/invocations") == json.loads(EXAMPLE)
        assert curl(portal, "/api/v1/models/echo/invocations", *bearer) == json.loads(EXAMPLE)


def test_boto3_and_curl_call_a_process(process: Running, door: Door, shelf: Shelf) -> None:
    check_all_four(process, door, shelf)


@pytest.mark.containers
@CONTAINERS[1]
def test_boto3_and_curl_call_a_container(
    containers: Any, tmp_path: Path, door: Door, shelf: Shelf
) -> None:
    image = build("echo", bundle("echo", tmp_path / "echo"), containers)
    with running(run(image)) as server:
        check_all_four(server, door, shelf)


def test_boto3_is_known_by_its_session_token_alone(
    process: Running, door: Door, shelf: Shelf
) -> None:
    shelf.add(f"127.0.0.1:{process.subject.port}")
    assert refused(door.port, token="eve's") == 401
    assert refused(door.port, token="ada's", EndpointName="nobody") == 404
    assert written(door, shelf) == []
    invoke(door.port, token="max's")
    assert [row["person"] for row in written(door, shelf)] == [2]


def test_a_session_token_counts_nowhere_else(door: Door, shelf: Shelf, process: Running) -> None:
    shelf.add(f"127.0.0.1:{process.subject.port}")
    assert door.call(token="", x_amz_security_token="ada's").status == 401
    assert door.call(path="/endpoints/echo/invocations", token="ada's").status == 200
    twice = door.line("X-Amz-Security-Token: a", "X-Amz-Security-Token: b")
    with twice:
        assert twice.recv(65536).startswith(b"HTTP/1.1 400 ")


def written(door: Door, shelf: Shelf) -> list[dict[str, Any]]:
    door.beat()
    return shelf.rows
