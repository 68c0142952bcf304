"""What bodies of calls are by their content type: which of them a version takes, which are text;
and JSON as strangers write it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from labportal.common.errors import DomainError

_TEXTS = ("text/", "application/json", "application/jsonlines", "application/xml", "chemical/")
#: What a caller or a model sent is not ours: no browser shall run it as if it were a page here.
GUARDS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "no-store",
}


class NotSupported(DomainError):
    status = 415
    title = "The model does not take this kind of input"
    default_code = "unsupported-type"


def check_type(content_type: str, accepts: Sequence[str]) -> None:
    """Raise NotSupported where the version names what it takes and this is not among it."""
    given = content_type.partition(";")[0].strip().lower()
    if not accepts or "*/*" in accepts:
        return
    if given not in accepts and f"{given.partition('/')[0]}/*" not in accepts:
        named = given or "a body without Content-Type"
        raise NotSupported(f"It takes {', '.join(accepts)}, not {named}.")


def is_text(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith(_TEXTS) or kind.endswith("+json")


def read_json(text: str) -> Any:
    """Return what JSON says, as JSON can say it again: numbers beyond all measure become texts.
    Raises ValueError.
    """
    try:
        return mended(json.loads(text, parse_constant=str, parse_float=_number), text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def mended(document: Any, text: str) -> Any:
    """The document that `text` says without halves of characters, which no page or file can hold.
    Raises ValueError, RecursionError.
    """
    if "\\ud" not in text.lower():
        return document
    return json.loads(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))


def _number(word: str) -> float | str:
    value = float(word)
    return value if math.isfinite(value) else word
