"""JSON pointers (RFC 6901), which name places in documents and schemas. Pure."""

from __future__ import annotations

from collections.abc import Container


def escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def keys_of(pointer: str) -> list[str]:
    """The keys from the outermost to the last one, none for the document itself."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def last_key(pointer: str) -> str:
    return keys_of(pointer)[-1]


def nearest(pointer: str, known: Container[str]) -> str:
    """The innermost known place that holds it; "" where there is none but the whole."""
    while pointer and pointer not in known:
        pointer = pointer.rpartition("/")[0]
    return pointer
