"""AWS in miniature: moto's server for S3, Step Functions and STS, and a process for Lambda."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from moto.moto_api._internal import moto_api_backend
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer
from moto.stepfunctions.models import stepfunctions_backends

ROOT = Path(__file__).resolve().parents[3]
DEPLOYED = ROOT / "calculations/software/torch_inference/program/bootstrap.py"
ASL = ROOT / "deploy/aws/state_machine.asl.json"
REGION, ACCOUNT, BUCKET = "eu-central-1", "123456789012", "lab-bucket"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/labportal"
KEYS = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret"}


class Lambda:
    """One warm machine, started with the first call."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder, self.endpoint = folder, endpoint
        self._process: subprocess.Popen[str] | None = None

    def invoke(self, event: dict[str, Any], **about: Any) -> dict[str, Any]:
        if self._process is None:
            environment = {
                "PATH": os.environ["PATH"],
                "TMPDIR": str(self.folder),
                "LABPORTAL_S3_ENDPOINT": self.endpoint,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_ACCESS_KEY_ID": "AKIALAMBDA",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "OMP_NUM_THREADS": "1",
            }
            worker = Path(__file__).with_name("worker.py")
            self._process = subprocess.Popen(
                [sys.executable, str(worker), str(DEPLOYED)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=self.folder,
                env=environment,
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps({"event": event, **about}) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Machine:
    """The state machine as deploy/aws describes it; `work` does what its map would."""

    def __init__(self, folder: Path) -> None:
        self.server = ThreadedMotoServer(port=0, verbose=False)
        self.server.start()
        host, port = self.server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        self.functions = Lambda(folder, self.endpoint)
        self.s3, self.states = self._client("s3"), self._client("stepfunctions")
        self.iam = self._client("iam")

    def _client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, **KEYS)

    def begin(self) -> None:
        """Forget everything; make the bucket and the state machine anew."""
        moto_api_backend.reset()
        self.s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        text = ASL.read_text().replace("${function_arn}", f"arn:aws:lambda:{REGION}:f")
        made = self.states.create_state_machine(name="labportal", definition=text, roleArn=ROLE)
        self.arn = made["stateMachineArn"]

    def user(self, policy: dict[str, Any]) -> dict[str, str]:
        """Return the key of a new user who may do this."""
        name, document = "portal", json.dumps(policy)
        self.iam.create_user(UserName=name)
        self.iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=document)
        return self.iam.create_access_key(UserName=name)["AccessKey"]

    def stop(self) -> None:
        self.functions.stop()
        self.server.stop()

    # What AWS does

    @property
    def executions(self) -> list[Any]:
        backend = stepfunctions_backends[ACCOUNT][REGION]
        return [e for machine in backend.state_machines for e in machine.executions]

    def elements(self, execution: Any) -> list[dict[str, Any]]:
        given = json.loads(execution.execution_input)
        items = json.loads(self.read(given["items"]))
        selected = ("bucket", "root", "plan_sha256", "program", "program_sha256")
        return [{**item, **{name: given[name] for name in selected}} for item in items]

    def work(self, *, only: int | None = None, **about: Any) -> list[dict[str, Any]]:
        """Call the function for each element of each execution that runs, until one fails; `only`:
        for so many elements, and leave the execution running.
        """
        answers = []
        for execution in self.executions:
            if execution.status != "RUNNING":
                continue
            failed = None
            for element in self.elements(execution)[:only]:
                answers.append(self.functions.invoke({**element, "retry": 0}, **about))
                failed = failed or (answers[-1].get("error") and answers[-1])
            if only is None:
                self.end(execution, failed)
        return answers

    def end(self, execution: Any, failed: dict[str, Any] | None = None, status: str = "") -> None:
        execution.status = status or ("FAILED" if failed else "SUCCEEDED")
        execution.stop_date = datetime.now(UTC)
        if failed:
            execution.error, execution.cause = failed["error"], failed["cause"]

    # The bucket

    def bucket(self, name: str, region: str) -> None:
        """Make another one."""
        s3_backends[ACCOUNT]["aws"].create_bucket(name, region)

    def put(self, key: str, content: bytes) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)

    def put_many(self, keys: Iterable[str]) -> None:
        """Empty objects, past the server."""
        for key in keys:
            s3_backends[ACCOUNT]["aws"].put_object(BUCKET, key, b"")

    def read(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def bring(self, folder: Path, prefix: str) -> None:
        for path in folder.iterdir():
            self.put(f"{prefix}/{path.name}", path.read_bytes())
