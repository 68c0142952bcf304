"""A version's tar.gz for /opt/ml/model on its way into the file store: uploaded or fetched from S3,
measured, and looked through before any node unpacks it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO

from django.conf import settings
from django.db import transaction

from clusters.agent.runtimes.base import RuntimeFailed
from clusters.agent.runtimes.model_files import inspect
from labportal.common.errors import InvalidInput, NotFound, TooLarge
from labportal.common.storage import open_in_bucket, storage
from mlmodels.models import ModelVersion

S3_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(\S{1,900})")
SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def keep(
    key: str, files: tuple[str, BinaryIO] | None, url: str, *, sha256: str
) -> tuple[str, int, str]:
    """Store it and return (name, size, SHA-256). Raises InvalidInput for `files` or `files_url`,
    TooLarge; nothing is stored then.
    """
    if sha256 and not SHA256.fullmatch(sha256):
        raise InvalidInput("must be a SHA-256 of 64 hexadecimal digits", field="files_sha256")
    if files and url:
        raise InvalidInput("Choose a file or an address, not both.", field="files_url")
    field = "files" if files else "files_url"
    name, stream = files if files else _fetched(url)
    name = PurePosixPath(name).name[:200]
    try:
        size, arrived = storage().save(key, _AtMost(stream))
        if sha256 and arrived != sha256.lower():
            raise InvalidInput(
                f"The file's SHA-256 is {arrived}: it is not the one that was meant.",
                field="files_sha256",
            )
        _look_through(key, field)
    except BaseException:
        storage().delete(key)
        raise
    return name, size, arrived


def forget(versions: Sequence[ModelVersion]) -> None:
    """Delete stored files that no other version names, on commit."""
    keys = {version.files_key for version in versions if version.files_key}
    others = ModelVersion.objects.exclude(pk__in=[version.pk for version in versions])
    shared = set(others.filter(files_key__in=keys).values_list("files_key", flat=True))
    for key in keys - shared:
        transaction.on_commit(partial(storage().delete, key), robust=True)


class _AtMost:
    """Reads a stream up to the most that files of a model may be. Raises TooLarge beyond it."""

    def __init__(self, content: BinaryIO) -> None:
        self._content, self._left = content, settings.MODEL_FILES_MIB * 2**20

    def read(self, amount: int = -1) -> bytes:
        chunk = self._content.read(amount)
        self._left -= len(chunk)
        if self._left < 0:
            raise TooLarge(f"Files of a model are at most {settings.MODEL_FILES_MIB} MiB.")
        return chunk


def _fetched(url: str) -> tuple[str, BinaryIO]:
    match = S3_URL.fullmatch(url)
    if match is None:
        raise InvalidInput("must be an address such as s3://bucket/model.tar.gz", field="files_url")
    bucket, key = match.groups()
    if bucket not in settings.MODEL_BUCKETS:
        known = ", ".join(settings.MODEL_BUCKETS)
        raise InvalidInput(
            f"Models may come from {known}." if known else "No bucket is named in MODEL_BUCKETS.",
            field="files_url",
        )
    try:
        return key, open_in_bucket(bucket, key)
    except NotFound:
        raise InvalidInput(f"The bucket {bucket} holds no such file.", field="files_url") from None


def _look_through(key: str, field: str) -> None:
    """Refuse what nodes would refuse: no tar.gz, links, paths that lead outside, bombs."""
    with storage().open(key) as stream:
        try:
            inspect(stream)
        except RuntimeFailed as error:
            raise InvalidInput(str(error), field=field) from None
