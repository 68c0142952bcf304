"""Tries the file store: writes a small object, reads it back, compares it and deletes it.

Called when an admin asks from the page of settings. It waits seconds, not minutes, and leaves
nothing behind.
"""

from __future__ import annotations

import io
import logging
import secrets
import time
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from labportal.common.errors import DomainError, NotFound
from labportal.common.storage import Storage, made_storage
from labportal.common.trial import Trial, without

log = logging.getLogger(__name__)

SIZE = 64 * 1024
PATIENCE_S = 8
PROBLEMS = (DomainError, BotoCoreError, OSError)


def try_storage() -> Trial:
    """Say how long each step took, or at which one the store failed and what it answered."""
    store = made_storage(read_timeout=PATIENCE_S, attempts=1)
    key, content = f"trial/{secrets.token_hex(8)}", secrets.token_bytes(SIZE)
    step, took = "Writing", {}
    began = time.perf_counter()
    try:
        store.save(key, io.BytesIO(content))
        took["write"] = time.perf_counter() - began
        step, began = "Reading", time.perf_counter()
        with store.open(key) as stream:
            same = stream.read() == content
        took["read"] = time.perf_counter() - began
        step, began = "Deleting", time.perf_counter()
        store.delete(key)
        took["delete"] = time.perf_counter() - began
        gone = _is_gone(store, key)
    except PROBLEMS as problem:
        _clean_up(store, key)
        return Trial(False, f"{step} failed in {place()}: {_said(problem)}")
    if not same:
        return Trial(False, f"What was read back from {place()} is not what was written.")
    if not gone:
        return Trial(
            False, f"{place()[0].upper()}{place()[1:]} still has the file after it was deleted."
        )
    steps = ", ".join(f"{verb} {_milliseconds(seconds)}" for verb, seconds in took.items())
    return Trial(True, f"{SIZE // 1024} KiB came back from {place()} as they were: {steps}.")


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.{0 if seconds >= 0.01 else 1}f} ms"


def place() -> str:
    """The store in words: the folder of the portal, or the bucket with the server's address."""
    if not settings.S3_BUCKET:
        return "the folder of files"
    host = urlsplit(settings.S3_ENDPOINT_URL).hostname
    return f"the bucket {settings.S3_BUCKET}{f' at {host}' if host else ''}"


def _is_gone(store: Storage, key: str) -> bool:
    try:
        store.size(key)
    except NotFound:
        return True
    return False


def _clean_up(store: Storage, key: str) -> None:
    try:
        store.delete(key)
    except PROBLEMS:
        log.warning("the object %s of a trial could not be deleted", key)


def _said(problem: Exception) -> str:
    """What the server or the file system answered, rather than what people are told of it."""
    cause = problem.__cause__ or problem.__context__ or problem
    if isinstance(cause, ClientError):
        error = cause.response.get("Error", {})
        words = f"{error.get('Code', '')}: {error.get('Message', '')}".strip(": ")
    elif isinstance(cause, OSError) and cause.strerror:
        words = cause.strerror
    else:
        words = str(cause)
    return without((settings.S3_SECRET_ACCESS_KEY,), f"{words or type(cause).__name__}.")
