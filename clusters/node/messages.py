"""Messages between the portal and its nodes through a broker that neither trusts: signed both ways.

The key is derived from the cluster's API key, which itself never travels. A message binds its kind,
its parties, its number and its sender's time to its body, so none can be altered, addressed anew or
sent back as another kind. Standard library only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from clusters.agent.protocol import MAX_BODY, MAX_DOCUMENT, BadDocument, decode, encode

VERSION = 1
DERIVED = b"labportal: messages of the carrier queue, version 1"
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,59}")
TOKEN = re.compile(r"[A-Za-z0-9.-]{1,120}")
MAX_REQUEST = 4 * MAX_BODY // 3 + 4  # characters of a body as it is packed
MAX_REPLY = 4 * MAX_DOCUMENT // 3 + 4


class Kind(str, Enum):
    REQUEST = "request"  # node to portal: an exchange
    REPLY = "reply"  # portal to node: its answer
    PROBLEM = "problem"  # portal to node: why there is none
    WAKE = "wake"  # portal to node: something is wanted


TEXTS = ("kind", "node", "key", "id", "reply_to", "encoding", "body")


class BadMessage(ValueError):
    """A message that is not to be trusted, or none at all; it says why."""


class TooLong(ValueError):
    """A document beyond what one message may hold."""


@dataclass(frozen=True)
class Message:
    """`key`: the prefix of the API key that signs; `at_ms`: the sender's clock; `reply_to`: which
    process of the node asks.
    """

    kind: Kind
    node: str
    key: str
    id: str
    at_ms: int
    document: Mapping[str, Any]
    reply_to: str = ""


def signing_key(secret: str) -> bytes:
    """Derive the key that signs from the whole text of an API key."""
    return hmac.new(secret.strip().encode(), DERIVED, hashlib.sha256).digest()


def prefix_of(secret: str) -> str:
    """Return the part of an API key that names it. Raises ValueError for what is no key."""
    parts = secret.strip().split("_", 2)
    if len(parts) != 3 or not TOKEN.fullmatch(parts[1]):
        raise ValueError("this is no key of a cluster: it looks like lpk_…_…")
    return parts[1]


def pack(message: Message, key: bytes) -> dict[str, Any]:
    """Return the signed message as JSON. Raises TooLong."""
    body, encoding = encode(message.document)
    if message.kind is Kind.REQUEST and len(body) > MAX_BODY:
        raise TooLong(f"a document of {len(body)} bytes; at most {MAX_BODY} travel at once")
    envelope = {
        "v": VERSION,
        "kind": message.kind.value,
        "node": message.node,
        "key": message.key,
        "id": message.id,
        "at": message.at_ms,
        "reply_to": message.reply_to,
        "encoding": encoding or "",
        "body": base64.b64encode(body).decode(),
    }
    return {**envelope, "mac": _mac(envelope, key)}


def key_named(envelope: Any) -> str:
    """Return the prefix of the key that a message says it is signed by; nothing is proven yet.

    Raises BadMessage for what has not the shape of a message.
    """
    if not isinstance(envelope, Mapping) or envelope.get("v") != VERSION:
        raise BadMessage("not a message of this version")
    texts = [envelope.get(name) for name in (*TEXTS, "mac")]
    if not all(isinstance(text, str) for text in texts) or type(envelope.get("at")) is not int:
        raise BadMessage("not a message")
    most = MAX_REQUEST if envelope["kind"] == Kind.REQUEST.value else MAX_REPLY
    if len(envelope["body"]) > most:
        raise BadMessage("longer than a message may be")
    words = (envelope["key"], envelope["id"], envelope["reply_to"] or "-")
    if not NAME.fullmatch(envelope["node"]) or not all(TOKEN.fullmatch(word) for word in words):
        raise BadMessage("not a message")
    return envelope["key"]


def unpack(envelope: Any, key: bytes) -> Message:
    """Return a message whose signature holds. Raises BadMessage, and BadDocument where what was
    signed is no document.
    """
    key_named(envelope)
    if not hmac.compare_digest(_mac(envelope, key).encode(), envelope["mac"].encode()):
        raise BadMessage("the signature does not hold")
    try:
        kind = Kind(envelope["kind"])
        body = base64.b64decode(envelope["body"], validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadDocument(f"what was signed is no message: {error}") from None
    return Message(
        kind=kind,
        node=envelope["node"],
        key=envelope["key"],
        id=envelope["id"],
        at_ms=envelope["at"],
        document=decode(body, envelope["encoding"]),
        reply_to=envelope["reply_to"],
    )


def _mac(envelope: Mapping[str, Any], key: bytes) -> str:
    signed = [VERSION, envelope["at"], *(envelope[name] for name in TEXTS)]
    text = json.dumps(signed, separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
