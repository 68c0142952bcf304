"""Which headers pass the proxy, in either direction: those of the SageMaker contract, no others.

Whatever a caller or a model sends beyond them (cookies, tokens, hop-by-hop headers) ends here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from labportal.common.errors import InvalidInput
from mlmodels import content

MOST_ATTRIBUTES = 1024
MOST_INFERENCE_ID = 64
MOST_SUBJECT = 80
MOST_TYPE = 255

_AMAZON = "x-amzn-sagemaker-"
_TO_MODEL = {
    name.lower().encode(): name
    for name in (
        "Content-Type",
        "Accept",
        "X-Amzn-SageMaker-Custom-Attributes",
        "X-Amzn-SageMaker-Target-Model",
        "X-Amzn-SageMaker-Target-Variant",
        "X-Amzn-SageMaker-Target-Container-Hostname",
        "X-Amzn-SageMaker-Inference-Id",
        "X-Amzn-SageMaker-Enable-Explanations",
    )
}
_TO_CALLER = frozenset(
    {
        b"content-type",
        b"content-encoding",
        b"retry-after",
        b"x-amzn-sagemaker-custom-attributes",
        b"x-amzn-sagemaker-inference-id",
    }
)
_LONGEST = {
    b"content-type": MOST_TYPE,
    b"x-amzn-sagemaker-custom-attributes": MOST_ATTRIBUTES,
    b"x-amzn-sagemaker-inference-id": MOST_INFERENCE_ID,
    b"x-labportal-subject": MOST_SUBJECT,
}
# These decide whom the call is from, how long it is and what it means: one each, or none.
_ONCE = frozenset(
    {
        b"authorization",
        b"x-amz-security-token",
        b"content-length",
        b"content-encoding",
        b"cookie",
        *_LONGEST,
    }
)
_PLAIN = re.compile(rb"[\x20-\x7e]*")
_DIGITS = re.compile(rb"[0-9]{1,18}")

#: With each answer of a model, as ASGI has headers.
GUARDS = tuple((name.lower().encode(), value.encode()) for name, value in content.GUARDS.items())


def read(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the caller's headers by lower-case name. Raises InvalidInput where one that matters is
    doubled, too long, or holds what no header may.
    """
    found: dict[bytes, bytes] = {}
    for raw, value in headers:
        name = raw.lower()
        if name in found and name in _ONCE:
            raise InvalidInput(f"The header {_name(name)} is there twice.", code="header")
        if name in _TO_MODEL or name in _LONGEST:
            _check(name, value)
        found[name] = value
    if (length := found.get(b"content-length")) is not None and not _DIGITS.fullmatch(length):
        raise InvalidInput("Content-Length is no number.", code="header")
    if found.get(b"content-encoding", b"identity").strip().lower() not in {b"", b"identity"}:
        raise content.NotSupported(
            "Send the body unpacked, without Content-Encoding.", code="encoding"
        )
    return found


def _check(name: bytes, value: bytes) -> None:
    if not _PLAIN.fullmatch(value):
        raise InvalidInput(f"{_name(name)} holds more than plain ASCII text.", code="header")
    if len(value) > _LONGEST.get(name, 1024):
        longest = _LONGEST.get(name, 1024)
        raise InvalidInput(f"{_name(name)} is at most {longest} characters.", code="header")


def _name(name: bytes) -> str:
    return _TO_MODEL.get(name) or name.decode("latin-1").title()


def to_model(headers: dict[bytes, bytes], length: int | None) -> dict[str, str]:
    passed = {
        name: headers[key].decode("latin-1") for key, name in _TO_MODEL.items() if key in headers
    }
    if length is not None:
        passed["Content-Length"] = str(length)
    return passed


def to_caller(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower(), value)
        for name, value in headers
        if name.lower() in _TO_CALLER and _PLAIN.fullmatch(value)
    ]
