"""What admins do about a cluster that the portal signs in to: where and as whom, its key, the
host's keys, a test, another try after it was held.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.exceptions import ValidationError
from django.db import transaction
from kombu.exceptions import OperationalError

from clusters.models import Cluster, SshAccess, SshSession
from clusters.transports.ssh import arguments, budget, installation, tasks
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.audit.services import record
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, Unavailable, WrongMoment
from labportal.common.sealing import seal
from labportal.realtime.events import publish

FIELDS = (
    "host",
    "port",
    "user",
    "work",
    "python",
    "scheduler",
    "agent_settings",
    "most_per_minute",
    "most_at_once",
    "exchange_s",
    "session_s",
    "reaches_store",
)
CHECKS: dict[str, Callable[[str], str]] = {
    "host": arguments.check_host,
    "user": arguments.check_user,
    "work": arguments.check_work,
    "python": arguments.check_python,
}
RANGES = {
    "most_per_minute": (1, 60),
    "most_at_once": (1, 10),
    "exchange_s": (10, 120),
    "session_s": (30, 3600),
}
SCHEDULERS = {"process": "none", "slurm": "Slurm", "pbs": "PBS"}
COMMENT = "labportal"
MOST_KEY = 20_000


@transaction.atomic
def set_up(cluster: Cluster, *, actor: User, **values: Any) -> SshAccess:
    """Say where a cluster is signed in to; a new one gets a key of its own. What is not named
    stays. Raises InvalidInput by field.
    """
    require(actor, Can.MANAGE_CLUSTERS)
    access = SshAccess.objects.select_for_update().filter(cluster=cluster).first()
    access = access or SshAccess(cluster=cluster)
    before = (access.host, access.port)
    for name in FIELDS:
        if name in values:
            setattr(access, name, values[name])
    _check(access)
    if (access.host, access.port) != before:  # another host's keys say nothing of this one
        access.host_keys, access.offered_host_keys = "", ""
        access.confirmed_at = access.confirmed_by = None
    if not access.sealed_key:
        _own_key(access)
    access.save()
    budget.resume(cluster.pk)
    detail = {"host": access.host, "port": access.port, "user": access.user, "work": access.work}
    record(actor, "cluster.ssh.edit", target=cluster.name, detail=detail)
    _tell(cluster)
    return access


def _check(access: SshAccess) -> None:
    errors: dict[str, str] = {}
    for name, check in CHECKS.items():
        try:
            setattr(access, name, check(str(getattr(access, name))))
        except InvalidInput as error:
            errors |= error.errors
    for name, (least, most) in RANGES.items():
        if not least <= getattr(access, name) <= most:
            errors[name] = f"Enter a number from {least} to {most}."
    if access.scheduler not in SCHEDULERS:
        errors["scheduler"] = f"Use one of {', '.join(SCHEDULERS)}."
    try:
        access.full_clean(exclude=["cluster", *errors])
    except ValidationError as error:
        errors |= {name: " ".join(texts) for name, texts in error.message_dict.items()}
    if not errors:
        try:
            installation.settings_text(access)
        except InvalidInput as error:
            errors |= error.errors
    if errors:
        raise InvalidInput(errors=errors)


@transaction.atomic
def make_key(cluster: Cluster, *, actor: User) -> SshAccess:
    """Replace the key by a new one that nobody has seen; the site has to be given its line."""
    access = _locked(cluster, actor)
    _own_key(access)
    return _key_changed(access, actor, "made")


def _own_key(access: SshAccess) -> None:
    _set_key(access, Ed25519PrivateKey.generate(), "")


@transaction.atomic
def enter_key(
    cluster: Cluster, *, private_key: str, certificate: str = "", actor: User
) -> SshAccess:
    """Use a key that the site gave, perhaps with a certificate. Raises InvalidInput."""
    access = _locked(cluster, actor)
    if len(private_key) > MOST_KEY or len(certificate) > MOST_KEY:
        raise InvalidInput("This is too long for a key.", field="private_key")
    text = private_key.strip().replace("\r\n", "\n") + "\n"
    try:
        key = serialization.load_ssh_private_key(text.encode(), password=None)
    except TypeError:
        raise InvalidInput(
            "This key is protected by a passphrase, which nobody could enter at each sign-in. "
            "Remove it from a copy: ssh-keygen -p -f KEY.",
            field="private_key",
        ) from None
    except Exception:
        raise InvalidInput(
            "This is no private key of OpenSSH, which begins with "
            "-----BEGIN OPENSSH PRIVATE KEY-----.",
            field="private_key",
        ) from None
    _set_key(access, key, _certificate(certificate, key))
    return _key_changed(access, actor, "entered")


def _set_key(access: SshAccess, key: Any, certificate: str) -> None:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    access.sealed_key = seal(private.decode())
    access.public_key = f"{_public(key)} {COMMENT}-{access.cluster.name}"
    access.certificate = certificate


def _public(key: Any) -> str:
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(encoding, form).decode()


def _certificate(text: str, key: Any) -> str:
    """Return a certificate that belongs to the key and is valid. Raises InvalidInput."""
    text = " ".join(text.split())
    if not text:
        return ""
    try:
        found = serialization.load_ssh_public_identity(text.encode())
    except Exception:
        found = None
    if not isinstance(found, serialization.SSHCertificate):
        raise InvalidInput(
            "This is no certificate of OpenSSH; it is the one line of a file KEY-cert.pub.",
            field="certificate",
        )
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    if found.public_key().public_bytes(encoding, form).decode() != _public(key):
        raise InvalidInput("This certificate belongs to another key.", field="certificate")
    if found.valid_before <= now().timestamp():
        raise InvalidInput("This certificate has expired.", field="certificate")
    return text


def _key_changed(access: SshAccess, actor: User, how: str) -> SshAccess:
    access.save(update_fields=["sealed_key", "public_key", "certificate"])
    budget.resume(access.cluster_id)
    detail = {"how": how, "fingerprint": fingerprint(access.public_key)}
    record(actor, "cluster.ssh.key", target=access.cluster.name, detail=detail)
    _tell(access.cluster)
    return access


@transaction.atomic
def confirm_host_keys(cluster: Cluster, *, fingerprints: list[str], actor: User) -> SshAccess:
    """Trust the keys that the host offered, as they were shown. Raises WrongMoment."""
    access = _locked(cluster, actor)
    offered = access.offered_host_keys.splitlines()
    if not offered:
        raise WrongMoment("The host has offered no keys: ask it for its keys first.")
    if sorted(map(fingerprint, offered)) != sorted(fingerprints):
        raise WrongMoment("The host offers other keys than those that you saw; look again.")
    access.host_keys, access.offered_host_keys = "\n".join(offered), ""
    access.confirmed_at, access.confirmed_by = now(), actor
    access.save(update_fields=["host_keys", "offered_host_keys", "confirmed_at", "confirmed_by"])
    budget.resume(cluster.pk)
    detail = {"host": access.host, "fingerprints": sorted(fingerprints)}
    record(actor, "cluster.ssh.host-keys", target=cluster.name, detail=detail)
    _tell(cluster)
    transaction.on_commit(lambda: tasks.want_exchange(cluster.pk), robust=True)
    return access


def ask_for_host_keys(cluster: Cluster, *, actor: User) -> SshSession:
    """Have the host asked for its keys. Raises WrongMoment where the budget is used up."""
    return _begin(cluster, SshSession.Kind.SCAN, tasks.scan, actor)


def test(cluster: Cluster, *, actor: User) -> SshSession:
    """Have each step tried. Raises WrongMoment where the budget is used up."""
    return _begin(cluster, SshSession.Kind.TEST, tasks.test, actor)


def _begin(cluster: Cluster, kind: SshSession.Kind, task: Any, actor: User) -> SshSession:
    require(actor, Can.MANAGE_CLUSTERS)
    try:
        session = budget.claim(_access(cluster), kind)
    except budget.Denied as denied:
        wait = f" Try again in {_seconds(denied)} s." if denied.until else ""
        raise WrongMoment(f"Not now: {denied.why}.{wait}") from None
    record(actor, f"cluster.ssh.{kind.value}", target=cluster.name)
    try:
        task.delay(session.pk)
    except OperationalError:
        session.delete()
        raise Unavailable("The broker of tasks does not answer; try again.") from None
    _tell(cluster)
    return session


def _seconds(denied: budget.Denied) -> int:
    left = (denied.until - now()).total_seconds() if denied.until else 0
    return max(1, round(left))


@transaction.atomic
def resume(cluster: Cluster, *, actor: User) -> None:
    """Go there again although it failed."""
    _locked(cluster, actor)
    budget.resume(cluster.pk)
    record(actor, "cluster.ssh.resume", target=cluster.name)
    _tell(cluster)
    transaction.on_commit(lambda: tasks.want_exchange(cluster.pk), robust=True)


def fingerprint(key: str) -> str:
    """Return a public key's fingerprint as ssh-keygen -l shows it."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _access(cluster: Cluster) -> SshAccess:
    access = SshAccess.objects.filter(cluster=cluster).first()
    if access is None or cluster.carrier != Cluster.Carrier.SSH:
        raise WrongMoment(f"{cluster.name} is not a cluster that the portal signs in to.")
    return access


def _locked(cluster: Cluster, actor: User) -> SshAccess:
    require(actor, Can.MANAGE_CLUSTERS)
    _access(cluster)
    return SshAccess.objects.select_for_update(of=("self",)).get(cluster=cluster)


def _tell(cluster: Cluster) -> None:
    publish(f"cluster:{cluster.pk}", "cluster.changed", {"id": cluster.pk})
