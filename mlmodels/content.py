"""Which content types a version takes, and the refusal of others."""

from __future__ import annotations

from collections.abc import Sequence

from labportal.common.errors import DomainError


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
