"""API keys of agents: made, checked, rotated, revoked. The secret is shown once; an HMAC digest is
stored.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from clusters import rows
from clusters.models import ApiKey, Cluster
from clusters.node.messages import signing_key
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.audit.services import record
from labportal.common.clock import now
from labportal.common.errors import DomainError, InvalidInput, WrongMoment
from labportal.common.sealing import seal

MARK = "lpk_"
MAX_VALID = 2
LAST_USED_EVERY = timedelta(minutes=1)


class KeyRefused(DomainError):
    status = 401
    title = "The API key is not accepted"
    default_code = "key-unknown"


def digest(secret: str) -> str:
    return hmac.new(settings.SECRET_KEY.encode(), secret.encode(), hashlib.sha256).hexdigest()


def valid_keys(cluster: Cluster, at: datetime | None = None) -> QuerySet[ApiKey]:
    moment = at or now()
    return cluster.api_keys.filter(revoked_at=None).filter(
        Q(expires_at=None) | Q(expires_at__gt=moment)
    )


@transaction.atomic
def issue(cluster: Cluster, *, actor: User, days: int | None = None) -> tuple[ApiKey, str]:
    """Return the key's row and its full text, which cannot be had again.

    Raises WrongMoment where two keys are valid already: a rotation needs two, more would be
    forgotten.
    """
    require(actor, Can.MANAGE_CLUSTERS)
    Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
    if valid_keys(cluster).count() >= MAX_VALID:
        raise WrongMoment(f"{cluster.name} has two valid keys already; revoke one first.")
    if days is not None and not 1 <= days <= 3650:
        raise InvalidInput("must be between 1 and 3650 days", field="days")
    prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    text = f"{MARK}{prefix}_{secret}"
    key = ApiKey.objects.create(
        cluster=cluster,
        prefix=prefix,
        digest=digest(secret),
        created_by=actor,
        expires_at=now() + timedelta(days=days) if days else None,
        sealed_signing_key=_sealed(text) if cluster.carrier == Cluster.Carrier.QUEUE else "",
    )
    record(actor, "api_key.issue", target=cluster.name, detail={"prefix": prefix})
    return key, text


def _sealed(text: str) -> str:
    return seal(signing_key(text).hex())


def revoke(key: ApiKey, *, actor: User) -> None:
    """The agent that uses it is refused from its next exchange on. Revoking twice is no error."""
    require(actor, Can.MANAGE_CLUSTERS)
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now()):
        record(actor, "api_key.revoke", target=key.cluster.name, detail={"prefix": key.prefix})


def authenticate(authorization: str, *, lock: bool = False) -> ApiKey:
    """Return the key of an `Api-Key lpk_…` header, its cluster loaded (locked, inside the caller's
    transaction).

    Raises KeyRefused: key-missing, key-unknown, key-expired or key-revoked.
    """
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "api-key" or not text.startswith(MARK):
        raise KeyRefused("Send the header “Authorization: Api-Key lpk_…”.", code="key-missing")
    prefix, _, secret = text.strip().removeprefix(MARK).partition("_")
    key = rows.key_with_cluster(prefix[:12], lock=lock)
    if key is None or not hmac.compare_digest(key.digest, digest(secret)):
        raise KeyRefused("The API key is not known; make a new one on the cluster's page.")
    use(key)
    return key


def use(key: ApiKey) -> None:
    """Note that the holder of a key has shown it. Raises KeyRefused: key-expired, key-revoked."""
    moment = now()
    if key.revoked_at is not None:
        raise KeyRefused("The API key was revoked; make a new one.", code="key-revoked")
    if key.expires_at is not None and key.expires_at <= moment:
        raise KeyRefused("The API key has expired; make a new one.", code="key-expired")
    if key.last_used_at is None or moment - key.last_used_at > LAST_USED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=moment)
