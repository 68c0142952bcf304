"""What admins do about a cluster in AWS: where its state machine is, its key, a test, another try
after it was held.
"""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from kombu.exceptions import OperationalError

from clusters.models import AwsAccess, Cluster
from clusters.transports.aws import books, tasks, trial
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.audit.services import record
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, Unavailable, WrongMoment
from labportal.common.sealing import seal
from labportal.realtime.events import publish

FIELDS = (
    "region",
    "state_machine_arn",
    "bucket",
    "prefix",
    "data_prefix",
    "endpoint_url",
    "access_key_id",
    "memory_mib",
    "disk_mib",
    "timeout_s",
    "most_at_once",
    "samples_per_s",
    "price_gb_second",
    "price_request",
    "price_transition",
)
SPEED = frozenset({"memory_mib", "samples_per_s"})
CHECKS = {
    "region": (re.compile(r"[a-z]{2}(-[a-z]+)+-\d{1,2}"), "Enter a region such as eu-central-1."),
    "state_machine_arn": (
        re.compile(r"arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:stateMachine:[A-Za-z0-9_-]{1,80}"),
        "Enter the whole ARN: arn:aws:states:REGION:ACCOUNT:stateMachine:NAME.",
    ),
    "bucket": (
        re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
        "Enter a bucket's name: lower-case letters, digits, dots and hyphens.",
    ),
    "prefix": (
        re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9_=.-]*(/[A-Za-z0-9_=-][A-Za-z0-9_=.-]*)*"),
        "Enter a folder such as labportal: letters, digits and . _ = - between slashes.",
    ),
    "data_prefix": (
        re.compile(r"([A-Za-z0-9_=-][A-Za-z0-9_=.-]*(/[A-Za-z0-9_=-][A-Za-z0-9_=.-]*)*)?"),
        "Enter a folder such as data: letters, digits and . _ = - between slashes.",
    ),
    "endpoint_url": (
        re.compile(r"(https?://[A-Za-z0-9.-]+(:\d{1,5})?/?)?"),
        "Enter an address such as https://vpce-1.example, or nothing for AWS itself.",
    ),
    "access_key_id": (
        re.compile(r"[A-Z0-9]{0,128}"),
        "Enter the ID of an access key, or nothing for the role of the portal's machine.",
    ),
}
MOST_SECRET = 200


@transaction.atomic
def set_up(cluster: Cluster, *, actor: User, secret: str = "", **values: Any) -> AwsAccess:
    """Say where the state machine is. What is not named stays, and so does the secret key where
    none is given. Raises InvalidInput by field.
    """
    require(actor, Can.MANAGE_CLUSTERS)
    _check_carrier(cluster)
    access = AwsAccess.objects.select_for_update().filter(cluster=cluster).first()
    access = access or AwsAccess(cluster=cluster)
    before = {name: getattr(access, name) for name in FIELDS}
    for name in FIELDS:
        if name in values:
            value = values[name]
            setattr(access, name, value.strip().strip("\0") if isinstance(value, str) else value)
    access.prefix, access.data_prefix = access.prefix.strip("/"), access.data_prefix.strip("/")
    if secret:
        access.sealed_secret = seal(secret.strip())
    elif not access.access_key_id or access.access_key_id != before["access_key_id"]:
        access.sealed_secret = ""
    _check(access, secret)
    changed = [name for name in FIELDS if getattr(access, name) != before[name]]
    if SPEED & set(changed):
        access.learned_samples_per_s = None  # other functions are as fast as is said now
    access.save()
    books.resume(cluster.pk)
    detail = {"machine": access.state_machine_arn, "bucket": access.bucket, "changed": changed}
    record(actor, "cluster.aws.edit", target=cluster.name, detail=detail | {"key": bool(secret)})
    _tell(cluster)
    transaction.on_commit(lambda: tasks.want_exchange(cluster.pk), robust=True)
    return access


def _check(access: AwsAccess, secret: str) -> None:
    errors = {
        name: words
        for name, (pattern, words) in CHECKS.items()
        if not pattern.fullmatch(str(getattr(access, name)))
    }
    region = access.state_machine_arn.split(":")[3:4]
    if not {"region", "state_machine_arn"} & errors.keys() and region != [access.region]:
        errors["region"] = f"The state machine is in {region[0]}; enter that."
    folders = (f"{access.prefix}/", f"{access.data_prefix}/")
    if access.data_prefix and (
        folders[0].startswith(folders[1]) or folders[1].startswith(folders[0])
    ):
        errors["data_prefix"] = "Data sets and runs need folders apart: what runs leave is deleted."
    if len(secret) > MOST_SECRET or not secret.isprintable():
        errors["secret"] = "This is no secret access key."  # noqa: S105
    if access.access_key_id and not access.sealed_secret:
        errors["secret"] = "Enter the secret of this key; or leave both empty."  # noqa: S105
    if secret and not access.access_key_id:
        errors["access_key_id"] = "Enter the ID of the key as well."
    try:
        access.full_clean(exclude=["cluster", *(name for name in errors if name != "secret")])
    except ValidationError as error:
        errors |= {name: " ".join(texts) for name, texts in error.message_dict.items()}
    if errors:
        raise InvalidInput(errors=errors)


def test(cluster: Cluster, *, actor: User) -> AwsAccess:
    """Have each step tried. Raises WrongMoment while a test goes on."""
    require(actor, Can.MANAGE_CLUSTERS)
    with transaction.atomic():
        access = _access(cluster)
        if is_testing(access):
            raise WrongMoment("A test goes on; wait for its end.")
        access.test_began_at, access.test_ended_at, access.test_steps = now(), None, []
        access.save(update_fields=["test_began_at", "test_ended_at", "test_steps"])
        record(actor, "cluster.aws.test", target=cluster.name)
    try:
        tasks.test.delay(access.pk)
    except OperationalError:
        AwsAccess.objects.filter(pk=access.pk).update(test_began_at=None)
        raise Unavailable("The broker of tasks does not answer; try again.") from None
    _tell(cluster)
    return access


def is_testing(access: AwsAccess) -> bool:
    began = access.test_began_at
    return began is not None and access.test_ended_at is None and now() - began < trial.LASTS


@transaction.atomic
def resume(cluster: Cluster, *, actor: User) -> None:
    """Go there again although it failed."""
    require(actor, Can.MANAGE_CLUSTERS)
    _access(cluster)
    books.resume(cluster.pk)
    record(actor, "cluster.aws.resume", target=cluster.name)
    _tell(cluster)
    transaction.on_commit(lambda: tasks.want_exchange(cluster.pk), robust=True)


def _check_carrier(cluster: Cluster) -> None:
    if cluster.carrier != Cluster.Carrier.AWS:
        raise WrongMoment(f"{cluster.name} is not a cluster in AWS.")


def _access(cluster: Cluster) -> AwsAccess:
    _check_carrier(cluster)
    access = AwsAccess.objects.select_for_update().filter(cluster=cluster).first()
    if access is None:
        raise WrongMoment(f"Say first where the state machine of {cluster.name} is.")
    return access


def _tell(cluster: Cluster) -> None:
    publish(f"cluster:{cluster.pk}", "cluster.changed", {"id": cluster.pk})
