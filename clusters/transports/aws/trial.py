"""The button “Test”: each step to the state machine, ok or failed, and what to do about it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from clusters.models import AwsAccess
from clusters.transports import trials
from clusters.transports.aws import books, signing
from clusters.transports.aws.clients import Clients
from clusters.transports.aws.data import joined
from clusters.transports.aws.troubles import Code, named
from clusters.transports.trials import Trouble
from labportal.common.clock import now
from labportal.realtime.events import publish

NAMES = ("Credentials", "State machine", "Bucket", "Data sets", "Writing")
MACHINE = "Enter in “State machine” the ARN of the one of deploy/aws, as it is there."
LASTS = timedelta(seconds=120)  # longer only where its worker is gone


def run(access: AwsAccess) -> bool:
    """Return whether all went well; the steps behind a failed one are not done."""

    def keep(steps: list[dict[str, Any]]) -> None:
        access.test_steps = steps
        access.save(update_fields=["test_steps"])
        _tell(access)

    signing.forget()
    trouble = trials.walk(_Trial(access).deeds(), keep, partial(trials.unforeseen, Code.OTHER))
    if trouble is None:
        books.resume(access.cluster_id)
    access.test_ended_at = now()
    access.save(update_fields=["test_ended_at"])
    _tell(access)
    return trouble is None


def _tell(access: AwsAccess) -> None:
    publish(f"cluster:{access.cluster_id}", "cluster.changed", {"id": access.cluster_id})


class _Trial:
    def __init__(self, access: AwsAccess) -> None:
        self.access, self.clients = access, Clients(access)

    def deeds(self) -> dict[str, Callable[[], str]]:
        deeds = (self._credentials, self._machine, self._bucket, self._data, self._writing)
        return dict(zip(NAMES, deeds, strict=True))

    def _credentials(self) -> str:
        with named("asking who the key belongs to"):
            return f"signed in as {self.clients.identity.get_caller_identity()['Arn']}"

    def _machine(self) -> str:
        arn = self.access.state_machine_arn
        with named("looking at the state machine"):
            found = self.clients.states.describe_state_machine(stateMachineArn=arn)
        if found.get("type", "STANDARD") != "STANDARD":
            words = "The state machine is of the kind EXPRESS, which ends after 5 minutes."
            raise Trouble(Code.NO_MACHINE, words, MACHINE)
        if '"DISTRIBUTED"' not in found["definition"]:
            raise Trouble(Code.NO_MACHINE, "The state machine has no distributed map.", MACHINE)
        if found.get("status") == "DELETING":
            raise Trouble(Code.NO_MACHINE, "The state machine is being deleted.", MACHINE)
        return f"{found['name']}, {found.get('status', 'ACTIVE').lower()}"

    def _bucket(self) -> str:
        bucket, region = self.access.bucket, self.access.region
        with named("looking at the bucket"):
            found = self.clients.s3.head_bucket(Bucket=bucket)
        if found.get("BucketRegion", region) != region:  # a map reads in its own region alone
            words = f"The bucket lies in {found['BucketRegion']}, the state machine in {region}."
            remedy = "Enter in “Bucket” one that lies in the region of the state machine."
            raise Trouble(Code.NO_BUCKET, words, remedy)
        return f"{bucket} is there"

    def _data(self) -> str:
        prefix = joined(self.access.data_prefix)
        first = next(self.clients.listed(f"{prefix}/" if prefix else ""), None)
        where = f"{prefix}/" if prefix else "the bucket"
        return f"{where} can be listed{'' if first else ', and is empty yet'}"

    def _writing(self) -> str:
        key = joined(self.access.prefix, f".trial-{uuid.uuid4()}")
        content = b"labportal"
        self.clients.write(key, content)
        if self.clients.read(key) != content:
            words = "What was written came back as something else."
            raise Trouble(Code.OTHER, words, "See that nothing else writes to “Folder of runs”.")
        self.clients.delete([key])
        return f"{joined(self.access.prefix)}/ can be written, read and deleted"
