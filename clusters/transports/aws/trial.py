"""The button “Test”: each step to the state machine, ok or failed, and what to do about it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta

from clusters.models import AwsAccess
from clusters.transports.aws import books
from clusters.transports.aws.clients import Clients
from clusters.transports.aws.data import joined
from clusters.transports.aws.troubles import Code, Trouble, named
from labportal.common.clock import now
from labportal.realtime.events import publish

log = logging.getLogger(__name__)

NAMES = ("Credentials", "State machine", "Bucket", "Data sets", "Writing")
LASTS = timedelta(seconds=120)  # longer only where its worker is gone


@dataclass(slots=True)
class Step:
    name: str
    ok: bool
    found: str
    remedy: str = ""


def run(access: AwsAccess) -> bool:
    """Do the steps one after the other, and return whether all went well; those behind a failed
    one are not done.
    """
    steps: list[Step] = []
    trouble: Trouble | None = None
    try:
        for step in _Trial(access).steps():
            steps.append(step)
            _keep(access, steps)
    except Trouble as error:
        trouble = error
    except Exception as error:
        log.exception("the test of %s failed", access.cluster.name)
        trouble = Trouble(Code.OTHER, f"The portal failed: {type(error).__name__}.")
    if trouble is not None:
        steps.append(Step(NAMES[len(steps)], False, trouble.words, trouble.remedy))
    else:
        books.resume(access.cluster_id)
    access.test_ended_at = now()
    _keep(access, steps)
    return trouble is None


def _keep(access: AwsAccess, steps: list[Step]) -> None:
    access.test_steps = [asdict(step) for step in steps]
    access.save(update_fields=["test_steps", "test_ended_at"])
    publish(f"cluster:{access.cluster_id}", "cluster.changed", {"id": access.cluster_id})


class _Trial:
    def __init__(self, access: AwsAccess) -> None:
        self.access, self.clients = access, Clients(access)

    def steps(self) -> Iterator[Step]:
        deeds: tuple[Callable[[], str], ...] = (
            self._credentials,
            self._machine,
            self._bucket,
            self._data,
            self._writing,
        )
        for name, deed in zip(NAMES, deeds, strict=True):
            yield Step(name, True, deed())

    def _credentials(self) -> str:
        with named("asking who the key belongs to"):
            return f"signed in as {self.clients.identity.get_caller_identity()['Arn']}"

    def _machine(self) -> str:
        arn = self.access.state_machine_arn
        with named("looking at the state machine"):
            found = self.clients.states.describe_state_machine(stateMachineArn=arn)
        if found.get("type", "STANDARD") != "STANDARD":
            words = "The state machine is of the kind EXPRESS, which ends after 5 minutes."
            raise Trouble(Code.NO_MACHINE, words, "Deploy deploy/aws as it is: kind STANDARD.")
        if '"DISTRIBUTED"' not in found["definition"]:
            words = "The state machine has no distributed map."
            raise Trouble(Code.NO_MACHINE, words, "Enter the ARN of the one of deploy/aws.")
        return f"{found['name']}, {found.get('status', 'ACTIVE').lower()}"

    def _bucket(self) -> str:
        with named("looking at the bucket"):
            self.clients.s3.head_bucket(Bucket=self.access.bucket)
        return f"{self.access.bucket} is there"

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
            raise Trouble(Code.OTHER, "What was written came back as something else.")
        self.clients.delete([key])
        return f"{joined(self.access.prefix)}/ can be written, read and deleted"
