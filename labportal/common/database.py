"""Tells a database that is gone from a statement that was wrong. The API and the exchange ask."""

from __future__ import annotations

from django.db import DatabaseError, InterfaceError, OperationalError


def is_lost(error: BaseException) -> bool:
    """Whether the server or the connection to it is gone, so that trying again makes sense.

    For a server that ends in the middle of a statement psycopg2 raises DatabaseError itself, of
    none of its kinds; Django's own errors of that class have no cause.
    """
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return type(error) is DatabaseError and error.__cause__ is not None
