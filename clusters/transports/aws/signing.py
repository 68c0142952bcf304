"""Clients of boto3 that sign for an access, kept between steps: making one reads megabytes of
models. Threads may share clients, but no session: it is used under a lock, to make clients.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from clusters.models import AwsAccess
from clusters.transports.aws.troubles import Code, named
from clusters.transports.trials import Trouble
from labportal.common.sealing import SealBroken, unseal

CONNECT_S, READ_S = 5, 60
CONNECTIONS = 96  # of a worker's eight threads, each with a dozen of its own
MOST_KEPT = 48  # three for each access
KEPT_S = 600.0  # a machine's role or its files may have changed by then
_making = threading.Lock()


@dataclass(frozen=True, slots=True)
class Way:
    """Whatever a client depends on; another key, region or endpoint makes another client."""

    region: str
    endpoint_url: str
    access_key_id: str
    secret: str = field(repr=False)

    @classmethod
    def of(cls, access: AwsAccess) -> Way:
        """Raises Trouble where the secret cannot be opened."""
        secret = _secret(access) if access.access_key_id else ""
        return cls(access.region, access.endpoint_url, access.access_key_id, secret)


def client(service: str, way: Way) -> Any:
    """Return the client of a service. Raises Trouble where nothing can be signed."""
    with named("signing in"), _making:
        return _kept(service, way, int(time.monotonic() // KEPT_S))


def forget() -> None:
    """Let what is asked for next be made anew, credentials of the machine looked for again."""
    with _making:
        _kept.cache_clear()
        _session.cache_clear()


@lru_cache(maxsize=MOST_KEPT)
def _kept(service: str, way: Way, period: int) -> Any:
    from botocore.config import Config
    from botocore.exceptions import NoCredentialsError

    session = _session(period)
    if not way.access_key_id and session.get_credentials() is None:
        raise NoCredentialsError  # a client without would be kept, and never look for them again
    return session.client(
        service,
        region_name=way.region,
        endpoint_url=way.endpoint_url or None,
        aws_access_key_id=way.access_key_id or None,
        aws_secret_access_key=way.secret or None,
        config=Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"max_attempts": 3, "mode": "standard"},
            s3={"addressing_style": "path"} if way.endpoint_url else {},
            max_pool_connections=CONNECTIONS,
        ),
    )


@lru_cache(maxsize=1)
def _session(_: int) -> Any:
    from boto3.session import Session

    return Session()


def _secret(access: AwsAccess) -> str:
    try:
        return unseal(access.sealed_secret)
    except SealBroken as error:
        raise Trouble(Code.CREDENTIALS, "The secret key cannot be opened.", str(error)) from None
