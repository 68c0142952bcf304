"""The few calls to S3 and Step Functions that this carrier makes; whatever fails is a Trouble."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, BinaryIO

from clusters.models import AwsAccess
from clusters.transports.aws import signing
from clusters.transports.aws.troubles import Code, named
from clusters.transports.trials import Trouble

GONE = frozenset({"404", "NoSuchKey", "NotFound"})
THERE_ALREADY = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})
Written = dict[str, Any]


class Clients:
    """Speaks for one access; each object serves one task."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access
        self.bucket = access.bucket

    @cached_property
    def _way(self) -> signing.Way:
        return signing.Way.of(self.access)

    @property
    def s3(self) -> Any:
        return signing.client("s3", self._way)

    @property
    def states(self) -> Any:
        return signing.client("stepfunctions", self._way)

    @property
    def identity(self) -> Any:
        return signing.client("sts", self._way)

    # The bucket

    def listed(self, prefix: str, *, delimiter: str = "") -> Iterator[dict[str, Any]]:
        """Yield every object below a prefix, page by page, however many there are."""
        with named(f"listing {prefix} in the bucket"):
            pages = self.s3.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix, Delimiter=delimiter):
                yield from page.get("Contents", ())

    def head(self, key: str) -> Written | None:
        """Return an object's size and ETag, None where it is not there."""
        from botocore.exceptions import ClientError

        with named(f"looking at {key}"):
            try:
                return self.s3.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if _code(error) in GONE:
                    return None
                raise

    def read(self, key: str) -> bytes | None:
        """Return an object's content, None where it is not there."""
        from botocore.exceptions import ClientError

        with named(f"reading {key}"):
            try:
                return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            except ClientError as error:
                if _code(error) in GONE:
                    return None
                raise

    def part(self, key: str, first: int, size: int, etag: str) -> bytes:
        """Return some bytes of the object that has this ETag."""
        with named(f"reading {key}"):
            found = self.s3.get_object(
                Bucket=self.bucket, Key=key, IfMatch=etag, Range=f"bytes={first}-{first + size - 1}"
            )
            return found["Body"].read()

    def write(self, key: str, content: bytes) -> None:
        with named(f"writing {key}"):
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)

    def write_once(self, key: str, content: bytes) -> bytes:
        """Write what is not there yet; return what stands there now."""
        from botocore.exceptions import ClientError

        with named(f"writing {key}"):
            try:
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=content, IfNoneMatch="*")
                return content
            except ClientError as error:
                if _code(error) not in THERE_ALREADY:
                    raise
        return self.read(key) or b""

    def upload(self, key: str, stream: BinaryIO, went_on: Callable[[int], None]) -> None:
        """Send a file of any size; `went_on` is called while it travels, by this thread."""
        from boto3.s3.transfer import TransferConfig

        alone = TransferConfig(use_threads=False)
        with named(f"writing {key}"):
            self.s3.upload_fileobj(stream, self.bucket, key, Callback=went_on, Config=alone)

    def delete(self, keys: list[str]) -> None:
        for first in range(0, len(keys), 1000):
            objects = [{"Key": key} for key in keys[first : first + 1000]]
            with named("deleting files of the bucket"):
                found = self.s3.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True}
                )
            for error in found.get("Errors", ())[:1]:
                words = f"{error.get('Key')} could not be deleted: {error.get('Code')}"
                raise Trouble(Code.REFUSED, words, "Give the key the policy of deploy/aws.")

    # The state machine

    def start(self, name: str, given: dict[str, Any]) -> str:
        """Start an execution and return its ARN; one of that name that was started already is the
        one.
        """
        from botocore.exceptions import ClientError

        machine = self.access.state_machine_arn
        with named("starting an execution"):
            try:
                found = self.states.start_execution(
                    stateMachineArn=machine, name=name, input=json.dumps(given)
                )
                return str(found["executionArn"])
            except ClientError as error:
                if _code(error) != "ExecutionAlreadyExists":
                    raise
        return self.arn_of(name)

    def arn_of(self, name: str) -> str:
        machine = self.access.state_machine_arn
        return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"

    def described(self, arn: str) -> dict[str, Any] | None:
        """Return how an execution stands, None where AWS knows of none."""
        from botocore.exceptions import ClientError

        with named("asking after an execution"):
            try:
                return self.states.describe_execution(executionArn=arn)
            except ClientError as error:
                if _code(error) == "ExecutionDoesNotExist":
                    return None
                raise

    def stop(self, arn: str, why: str) -> None:
        """End an execution; one that has ended is left alone."""
        from botocore.exceptions import ClientError

        with named("stopping an execution"):
            try:
                self.states.stop_execution(executionArn=arn, error="Stopped", cause=why[:300])
            except ClientError as error:
                if _code(error) not in ("ExecutionDoesNotExist", "ValidationException"):
                    raise


def _code(error: Exception) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
