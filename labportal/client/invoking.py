"""Calls of models: at once, or queued where they may take long.

portal = Portal()
invoke(portal, "redshift", {"images": [...]}).value
"""

from __future__ import annotations

import json
import mimetypes
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from labportal.client.errors import ClientError
from labportal.client.portal import Portal
from labportal.client.transport import API

JSON = "application/json"
LONGEST_S = 3600
LOOKS_EVERY_S = 2.0
OPEN = frozenset({"queued", "running"})
#: What the machine's own list of types does not know.
TYPES = {
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".jsonl": "application/jsonlines",
}
_AMAZON = "X-Amzn-SageMaker"


@dataclass(frozen=True)
class Answer:
    """`value`: JSON as what it says, text as text, anything else as bytes."""

    content_type: str
    content: bytes
    headers: Mapping[str, str]

    @property
    def value(self) -> Any:
        kind = self.content_type.partition(";")[0].strip()
        if kind == JSON or kind.endswith("+json"):
            return json.loads(self.content)
        return self.content.decode() if kind.startswith("text/") else self.content


class CallFailed(ClientError):
    """A queued call ended without an answer."""


def type_of(file: str | Path) -> str:
    """The content type that a file's name stands for."""
    suffix = Path(file).suffix.lower()
    guessed = TYPES.get(suffix) or mimetypes.guess_type(str(file))[0]
    return guessed or "application/octet-stream"


def invoke(
    portal: Portal,
    name: str,
    body: Any,
    *,
    content_type: str = "",
    accept: str = "",
    version: int | None = None,
    subject: str = "",
    inference_id: str = "",
) -> Answer:
    """Call a model and wait for its answer. Bytes and text are sent as they are, all else as JSON.

    `subject`, "structure:12", keeps the answer beside that thing. Raises ClientError.
    """
    which = f"versions/{version}/" if version else ""
    headers = _headers(body, content_type, accept, inference_id)
    headers |= {"X-Labportal-Subject": subject} if subject else {}
    timeout = httpx.Timeout(LONGEST_S + 60, connect=10)
    return _answer(_post(portal, name, f"{which}invocations", body, headers, timeout=timeout))


def invoke_later(
    portal: Portal,
    name: str,
    body: Any,
    *,
    content_type: str = "",
    accept: str = "",
    version: int | None = None,
    inference_id: str = "",
    timeout_s: int = 900,
    notify: bool = True,
) -> dict[str, Any]:
    """Queue a call that may take up to an hour; return it as the portal shows it."""
    headers = _headers(body, content_type, accept, inference_id)
    headers[f"{_AMAZON}-InvocationTimeoutSeconds"] = str(timeout_s)
    query = {"notify": "yes" if notify else "no", **({"version": version} if version else {})}
    return dict(_post(portal, name, "invocations/async", body, headers, params=query).json())


def wait(portal: Portal, call: Mapping[str, Any], timeout: float | None = None) -> Answer:
    """Wait for the answer of a queued call. Raises CallFailed where there is none, TimeoutError."""
    document = dict(call)
    deadline = None if timeout is None else time.monotonic() + timeout
    while document["state"] in OPEN:
        if deadline is not None and time.monotonic() > deadline:
            words = f"{document['model']} has not answered within {timeout:g} s"
            raise TimeoutError(f"{words}; its call is {document['state']} still")
        time.sleep(LOOKS_EVERY_S)
        document = portal.transport.request("GET", document["url"]).json()
    if document["state"] != "done":
        why = document["why"] or "It has no answer."
        raise CallFailed(f"The call of {document['model']} {document['state']}. {why}")
    return _answer(portal.transport.request("GET", document["result"]))


def _post(
    portal: Portal, name: str, place: str, body: Any, headers: dict[str, str], **options: Any
) -> httpx.Response:
    path = f"{API}models/{quote(name, safe='')}/{place}"
    return portal.transport.request(
        "POST", path, content=_content(body), headers=headers, **options
    )


def _headers(body: Any, content_type: str, accept: str, inference_id: str) -> dict[str, str]:
    plain = "application/octet-stream" if isinstance(body, bytes) else JSON
    given = {
        "Content-Type": content_type or plain,
        "Accept": accept or "*/*",
        f"{_AMAZON}-Inference-Id": inference_id,
    }
    return {name: value for name, value in given.items() if value}


def _content(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _answer(response: httpx.Response) -> Answer:
    kind = response.headers.get("Content-Type", "")
    return Answer(kind, response.content, dict(response.headers))
