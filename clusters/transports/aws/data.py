"""Partitions and weights in the bucket: listed, put in order, checked by the plug-in's own rules.

Of each no more than its headers travels.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from calculations.software.torch_inference.program.formats import DAMAGED
from calculations.software.torch_inference.program.partitions import (
    CONVERTED,
    Partition,
    chosen,
    partitions_of,
)
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.work import Work
from clusters.transports.aws.clients import Clients

HEAD = 64 * 1024  # of a file: its header, most likely whole
TAIL = 66 * 1024  # of an npz file: the list of its contents
AT_ONCE = 12


@dataclass(frozen=True, slots=True)
class Stored:
    """One object, pinned by its ETag: another content has another."""

    name: str
    key: str
    size: int
    etag: str

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "key": self.key, "size": self.size, "etag": self.etag}


def in_folder(clients: Clients, prefix: str, folder: str, limit: int) -> list[Stored]:
    """Return the partitions of a folder of the bucket, in order. Raises Problem."""
    root = joined(prefix, safe(folder))
    found = {
        PurePosixPath(item["Key"]).name: item
        for item in clients.listed(f"{root}/" if root else "", delimiter="/")
    }
    names = chosen(found, folder)[: limit or None]
    return [
        Stored(name, found[name]["Key"], found[name]["Size"], found[name]["ETag"]) for name in names
    ]


def stored(clients: Clients, key: str, name: str) -> Stored | None:
    found = clients.head(key)
    return found and Stored(name, key, int(found["ContentLength"]), str(found["ETag"]))


def joined(*parts: str) -> str:
    return "/".join(part.strip("/") for part in parts if part.strip("/"))


def safe(folder: str) -> str:
    """Return a folder's (or file's) name below the prefix. Raises Problem where it leads out."""
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    if ".." in parts or "\\" in folder:
        raise Problem(
            "outside_data_dir",
            f"{folder!r:.200} leads out of the bucket's folder for data sets.",
            "Name a folder below it, without `..`.",
        )
    return "/".join(parts)


def partitions_in(
    clients: Clients,
    work: Work,
    objects: Sequence[Stored],
    folder: Path,
    went_on: Callable[[int], None],
) -> list[Partition]:
    """Return the partitions, checked as any run checks them: by their headers, which are brought
    into files of the same length that are empty otherwise. Raises Problem.
    """
    _refuse_pickles(objects)

    def bring(item: Stored) -> None:
        bring_headers(clients, item, folder / item.name)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(bring, objects):
            went_on(0)  # by this thread, which has a connection to the database
    named = replace(work, source="files", files=tuple(item.name for item in objects), file_limit=0)
    return partitions_of(named, folder, _nothing_converted)


def _refuse_pickles(objects: Sequence[Stored]) -> None:
    pickled = [o.name for o in objects if PurePosixPath(o.name).suffix.lower() in CONVERTED]
    if pickled:
        raise Problem(
            "not_converted",
            f"{pickled[0]} is a pickle, which functions do not read.",
            "Convert it to safetensors once, on a machine of your own, and upload that.",
        )


def _nothing_converted(_: list[Path]) -> Mapping[Any, Path]:
    return {}


def bring_headers(clients: Clients, item: Stored, path: Path) -> None:
    """Make a file as long as the object that holds what its headers say, and nothing else."""
    with path.open("wb") as stream:
        stream.truncate(item.size)
    if not item.size:
        return
    begin = _bring(clients, item, path, 0, HEAD)
    if path.suffix.lower() == ".npz":
        _bring_npz(clients, item, path)
    elif item.size > HEAD and (length := int.from_bytes(begin[:8], "little")) + 8 > HEAD:
        _bring(clients, item, path, HEAD, min(length + 8, 16 * 2**20) - HEAD)


def _bring_npz(clients: Clients, item: Stored, path: Path) -> None:
    """Bring the list of contents, then the beginning of each array; what is broken is left for
    the reader of headers to name.
    """
    _bring(clients, item, path, max(0, item.size - TAIL), TAIL)
    try:
        with zipfile.ZipFile(path) as archive:
            offsets = [info.header_offset for info in archive.infolist()]
    except (*DAMAGED, ValueError):
        return
    for offset in offsets[:100]:
        if offset >= HEAD // 2:
            _bring(clients, item, path, offset, HEAD // 4)


def _bring(clients: Clients, item: Stored, path: Path, first: int, size: int) -> bytes:
    size = min(size, item.size - first)
    if size <= 0:
        return b""
    content = clients.part(item.key, first, size, item.etag)
    with path.open("r+b") as stream:
        stream.seek(first)
        stream.write(content)
    return content
