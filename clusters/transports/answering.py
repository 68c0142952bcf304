"""What every carrier does around an exchange: text that the database bears, its connection kept,
errors as problem documents.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from clusters.agent.protocol import DOWNLOAD_PATH
from clusters.exchange import Answer, OtherProtocol
from labportal.common.database import is_lost
from labportal.common.errors import DomainError, Unavailable

log = logging.getLogger(__name__)

DATABASE_TRIES = 3
CHECK_CONNECTION_S = 20.0


def storable(value: Any) -> Any:
    """PostgreSQL's text holds neither NUL nor half a surrogate pair; real programs write both."""
    if isinstance(value, str):
        text = value.replace("\0", "")
        return text if text.isascii() else text.encode(errors="replace").decode()
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return value


class _Thread(threading.local):
    checked_at = 0.0


_thread = _Thread()


def with_connection(function: Callable[..., Answer], *args: Any) -> Answer:
    """Run with this thread's kept connection; a deadlock or a connection lost on the way is tried
    again.

    An exchange may happen twice, so it is tried again even where nobody knows whether it was
    committed. The connection is looked at every CHECK_CONNECTION_S only: asking before each
    exchange would cost as much as a query.
    """
    for attempt in range(1, DATABASE_TRIES + 1):
        if time.monotonic() - _thread.checked_at > CHECK_CONNECTION_S:
            close_old_connections()
            _thread.checked_at = time.monotonic()
        try:
            return function(*args)
        except (DatabaseError, InterfaceError) as error:
            if not is_lost(error):
                raise
            connection.close()
            if attempt == DATABASE_TRIES:
                raise
            time.sleep(0.05 * attempt)
    raise AssertionError("unreachable")


def refusal(error: Exception) -> DomainError:
    """What the agent is told of an exchange that failed, whatever failed."""
    if isinstance(error, DomainError):
        return error
    if is_lost(error):
        log.warning("an exchange could not be stored: %s", error)
        return Unavailable("The portal's database does not answer; try again.")
    log.error("an exchange failed", exc_info=error)
    return DomainError("The portal failed; try again.", status=500, code="failed")


def problem(error: DomainError) -> dict[str, Any]:
    """RFC 9457, as everywhere in the API."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if error.field_errors:
        document["errors"] = error.field_errors
    if isinstance(error, OtherProtocol):
        document["download"] = f"{settings.PUBLIC_URL}{DOWNLOAD_PATH}"
    return document
