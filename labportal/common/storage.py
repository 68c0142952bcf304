"""Where files of calculations are kept: a folder, or an S3 bucket where one is named.

Services call storage(). A key is a relative path of plain names; whatever would leave the folder is
refused. Saving twice is the same as once.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from labportal.common.errors import InvalidInput, NotFound, Unavailable

CHUNK = 1024 * 1024
PART = re.compile(r"[^/\\\0]{1,255}")
MOST_KEY = 900


class Storage(Protocol):
    """What both stores do. Sizes are bytes, checksums lower-case SHA-256. `offset`: bytes that are
    left out at the beginning, fewer than there are.
    """

    def save(self, key: str, stream: BinaryIO) -> tuple[int, str]: ...
    def open(self, key: str, *, offset: int = 0) -> BinaryIO: ...
    def size(self, key: str) -> int: ...
    def delete(self, key: str) -> None: ...
    def presigned_url(self, key: str, *, seconds: int = 300, filename: str = "") -> str | None: ...


def checked_key(key: str) -> str:
    """Return the key if it is a safe relative path; raise InvalidInput if not."""
    parts = key.split("/")
    if len(key) > MOST_KEY or any(
        part in {"", ".", ".."} or not PART.fullmatch(part) for part in parts
    ):
        raise InvalidInput("This file name cannot be stored.", code="bad-key")
    return key


class _Measured:
    """Counts and digests what is read through it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self.size = 0

    def read(self, amount: int = -1) -> bytes:
        chunk = self._stream.read(amount)
        self._digest.update(chunk)
        self.size += len(chunk)
        return chunk

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class FolderStorage:
    """Files under one folder; a file appears under its name only when it is complete."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, key: str) -> Path:
        path = self._root / checked_key(key)
        if not path.resolve().is_relative_to(self._root.resolve()):
            raise InvalidInput("This file name cannot be stored.", code="bad-key")
        return path

    def save(self, key: str, stream: BinaryIO) -> tuple[int, str]:
        path, source = self._path(key), _Measured(stream)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".incoming-")
        try:
            with os.fdopen(handle, "wb") as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        return source.size, source.sha256

    def open(self, key: str, *, offset: int = 0) -> BinaryIO:
        try:
            stream = self._path(key).open("rb")
            stream.seek(offset)
            return stream
        except (FileNotFoundError, IsADirectoryError):
            raise NotFound("This file is no longer kept.", code="file-gone") from None

    def size(self, key: str) -> int:
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            raise NotFound("This file is no longer kept.", code="file-gone") from None

    def delete(self, key: str) -> None:
        """Remove the file and the folders that it leaves empty; a file that is gone is no error."""
        path = self._path(key)
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self._root:
                return
            try:
                folder.rmdir()
            except OSError:
                return

    def presigned_url(self, key: str, *, seconds: int = 300, filename: str = "") -> str | None:
        self._path(key)
        return None


class S3Storage:
    """Files in one bucket of any server that speaks S3."""

    def __init__(self, client: Any, bucket: str, *, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def _object(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + checked_key(key)}

    def save(self, key: str, stream: BinaryIO) -> tuple[int, str]:
        source, at = _Measured(stream), self._object(key)
        with _s3_errors():
            self._client.upload_fileobj(
                source, at["Bucket"], at["Key"], Config=TransferConfig(use_threads=False)
            )
        return source.size, source.sha256

    def open(self, key: str, *, offset: int = 0) -> BinaryIO:
        part = {"Range": f"bytes={offset}-"} if offset else {}
        with _s3_errors():
            return self._client.get_object(**self._object(key), **part)["Body"]

    def size(self, key: str) -> int:
        with _s3_errors():
            return int(self._client.head_object(**self._object(key))["ContentLength"])

    def delete(self, key: str) -> None:
        with _s3_errors():
            self._client.delete_object(**self._object(key))

    def presigned_url(self, key: str, *, seconds: int = 300, filename: str = "") -> str | None:
        """Return a URL that downloads the file, under that name, for so many seconds."""
        params = self._object(key)
        if filename:
            plain = re.sub(r"[^A-Za-z0-9._-]", "_", filename)
            params["ResponseContentDisposition"] = f'attachment; filename="{plain}"'
        with _s3_errors():
            return self._client.generate_presigned_url(
                "get_object", Params=params, ExpiresIn=seconds
            )


@contextmanager
def _s3_errors() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status == 404 or error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
            raise NotFound("This file is no longer kept.", code="file-gone") from None
        raise Unavailable("The file store refused.", code="storage") from error
    except BotoCoreError as error:
        raise Unavailable("The file store does not answer.", code="storage") from error


@cache
def storage() -> Storage:
    """Return the process's store."""
    return made_storage()


def made_storage(*, read_timeout: int = 60, attempts: int = 4) -> Storage:
    """Make the store that the settings name: S3 where S3_BUCKET is set, else the folder."""
    if not settings.S3_BUCKET:
        return FolderStorage(settings.FILES_DIR)
    client = _s3_client(read_timeout=read_timeout, attempts=attempts)
    return S3Storage(client, settings.S3_BUCKET, prefix=settings.S3_PREFIX)


def open_in_bucket(bucket: str, key: str) -> BinaryIO:
    """Open an object of another bucket with the portal's own rights; the caller has checked that
    people may name this bucket. Raises NotFound, Unavailable.
    """
    with _s3_errors():
        return _s3_client().get_object(Bucket=bucket, Key=key)["Body"]


def _s3_client(*, read_timeout: int = 60, attempts: int = 4) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=settings.S3_ENDPOINT_URL or None,
        region_name=settings.S3_REGION,
        aws_access_key_id=settings.S3_ACCESS_KEY_ID or None,
        aws_secret_access_key=settings.S3_SECRET_ACCESS_KEY or None,
        config=Config(
            connect_timeout=5,
            read_timeout=read_timeout,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            signature_version="s3v4",
            s3={"addressing_style": "path" if settings.S3_ENDPOINT_URL else "auto"},
            # Stores other than Amazon's often do not know the newer checksum headers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
