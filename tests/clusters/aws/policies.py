"""The policies of deploy/aws, as Terraform would fill them in for the bucket of these tests."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template
from typing import Any

from tests.clusters.aws.machine import ACCOUNT, BUCKET, REGION

DEPLOY = Path(__file__).resolve().parents[3] / "deploy/aws"
PLACES = {
    "bucket": f"arn:aws:s3:::{BUCKET}",
    "runs": f"arn:aws:s3:::{BUCKET}/labportal/*",
    "sets": f"arn:aws:s3:::{BUCKET}/data/*",
    "machine": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:labportal",
    "executions": f"arn:aws:states:{REGION}:{ACCOUNT}:execution:labportal:*",
    "function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:labportal-rank",
    "log": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/labportal-rank:*",
}


def policy(name: str) -> dict[str, Any]:
    text = (DEPLOY / "policies" / f"{name}.json").read_text()
    return json.loads(Template(text).substitute(PLACES))


def as_moto_asks(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements, for moto: it has an action HeadBucket of its own (in AWS it is ListBucket),
    deletes in the bucket, not in a folder, and does not know which state machine is asked for.
    """
    statements = document["Statement"]
    for statement in statements:
        if "s3:ListBucket" in statement["Action"]:
            statement["Action"].append("s3:HeadBucket")
        if "s3:DeleteObject" in statement["Action"]:
            statement["Resource"].append(PLACES["bucket"])
        if statement["Action"][0].startswith("states:"):
            statement["Resource"] = ["*"]
    return statements


def actions(name: str) -> set[str]:
    return {action for one in policy(name)["Statement"] for action in one["Action"]}
