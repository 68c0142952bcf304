"""How it stands with the way to a cluster in AWS: for pages, API, health."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clusters.models import AwsAccess, AwsExecution, Cluster
from clusters.selectors.check import BAD, GOOD, UNKNOWN, WARN, Check
from clusters.services.aws import is_testing
from clusters.transports.aws.trial import NAMES
from clusters.transports.trials import with_left

SHOWN = 20


@dataclass(frozen=True, slots=True)
class AwsWay:
    """Everything that the page of a way shows. `access` is None before the first form is sent."""

    access: AwsAccess | None
    executions: tuple[AwsExecution, ...]

    @property
    def testing(self) -> bool:
        return self.access is not None and is_testing(self.access)

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The steps of the last test, those that were not done as well."""
        return with_left(self.access.test_steps if self.access else (), NAMES)


def aws_way_of(cluster: Cluster) -> AwsWay:
    access = AwsAccess.objects.filter(cluster=cluster).first()
    executions = cluster.aws_executions.defer("spec", "report").order_by("-pk")[:SHOWN]
    return AwsWay(access, tuple(executions))


def aws_checks(cluster: Cluster) -> list[Check]:
    """The lines of the health card about the way there."""
    access = AwsAccess.objects.filter(cluster=cluster).first()
    if access is None:
        remedy = "Say region, state machine and bucket on the tab “Access”."
        return [Check("AWS", UNKNOWN, "Not set up", "the portal does not know the way", remedy)]
    if access.held_at:
        remedy = "Mend it, then press “Try again” on the tab “Access”: until then nothing is tried."
        return [Check("AWS", BAD, "Held", f"{access.last_error} Held", remedy, access.held_at)]
    if access.failures:
        found = f"{access.last_error} Failed {access.failures} in a row; the next try"
        return [Check("AWS", WARN, "Failing", found, when=access.not_before)]
    if access.last_try_at is None:
        remedy = "Press “Test” on the tab “Access”."
        tested = access.test_ended_at and all(step.get("ok") for step in access.test_steps)
        if tested:
            return [Check("AWS", GOOD, "Good", "tested", when=access.test_ended_at)]
        return [Check("AWS", UNKNOWN, "Never tried", access.region, remedy)]
    return [Check("AWS", GOOD, "Good", f"{access.region}, last asked", when=access.last_try_at)]
