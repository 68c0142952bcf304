"""Files up and down: progress is told, a broken download is taken up where it ended, and what
arrived is compared with its checksum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import httpx

from labportal.client.errors import ClientError, Damaged, Invalid, Unreachable
from labportal.client.transport import Transport

CHUNK = 256 * 1024
TRIES = 4
Progress = Callable[[int], Any]  # is told how many bytes more


def download(
    transport: Transport,
    path: str,
    target: Path,
    *,
    sha256: str = "",
    progress: Progress = lambda _: None,
) -> Path:
    """Fetch a file into `target`. What is there already and whole is not fetched again.

    Until it is whole it is called `<target>.part`, which the next try goes on from. Raises Damaged
    where the checksum is another one.
    """
    if sha256 and target.is_file() and digest(target) == sha256:
        progress(target.stat().st_size)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    told = 0
    for attempt in range(1, TRIES + 1):
        if part.is_file() and part.stat().st_size > told:
            progress(part.stat().st_size - told)
            told = part.stat().st_size
        try:
            told = _receive(transport, path, part, told, progress)
            break
        except (httpx.TransportError, httpx.StreamError) as error:
            if attempt == TRIES:
                raise Unreachable(
                    f"The download of {target.name} broke off: {error}.",
                    remedy="Run the command again; it goes on where it ended.",
                ) from None
    if sha256 and digest(part) != sha256:
        part.unlink()
        raise Damaged(
            f"{target.name} arrived damaged: its checksum is another one.",
            remedy="Run the command again; tell the lab's admins if it happens twice.",
        )
    part.replace(target)
    return target


def _receive(transport: Transport, path: str, part: Path, told: int, progress: Progress) -> int:
    """Append what is missing; return how many bytes are there now."""
    start = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        with transport.stream(path, headers) as response:
            goes_on = response.status_code == 206
            if start and not goes_on:  # the store sends all of it again
                progress(-told)
                told = start = 0
            with part.open("ab" if goes_on else "wb") as file:
                for chunk in response.iter_bytes(CHUNK):
                    file.write(chunk)
                    told += len(chunk)
                    progress(len(chunk))
    except ClientError:
        if not start:
            raise
        part.unlink()  # a range that cannot be satisfied: begin again
        progress(-told)
        return _receive(transport, path, part, 0, progress)
    return told


def upload(
    transport: Transport, path: str, source: Path, *, progress: Progress = lambda _: None
) -> dict[str, Any]:
    """Send a file as the body of a PUT, from the disk and with its length."""
    try:
        size = source.stat().st_size
        file = source.open("rb")
    except OSError as error:
        raise Invalid(f"{source} cannot be read: {error.strerror}.") from None
    with file:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        content = _told(iter(lambda: file.read(CHUNK), b""), progress)
        answer = transport.request("PUT", path, headers=headers, content=content)
    return dict(answer.json())


def _told(chunks: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        progress(len(chunk))


def digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def safe_name(name: str) -> PurePosixPath:
    """Return the relative path that a portal's file gets here. Raises Invalid where it would lead
    out of the folder.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    leads_out = path.is_absolute() or ".." in path.parts or not path.name
    if leads_out or ":" in path.parts[0] or not name.isprintable():
        raise Invalid(f"The portal names a file {name!r}, which would lie outside of the folder.")
    return path
