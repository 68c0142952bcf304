"""What may go wrong, each with the exit code of the command line, and how a portal's problem
document becomes one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VALID, NOT_VALID, USAGE, SIGN_IN, NOT_FOUND, WRONG_MOMENT, UNREACHABLE, INTERRUPTED = (
    *range(7),
    130,
)


class ClientError(Exception):
    """`fields` are errors by field; `remedy` is what the reader can do."""

    exit_code = NOT_VALID

    def __init__(
        self, message: str, *, fields: Mapping[str, list[str]] | None = None, remedy: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fields = dict(fields or {})
        self.remedy = remedy

    def to_json(self) -> dict[str, Any]:
        return {
            "error": self.message,
            "fields": self.fields,
            "remedy": self.remedy,
            "exit_code": self.exit_code,
        }


class Invalid(ClientError):
    """What was asked makes no sense, here or to the portal."""

    exit_code = USAGE


class NotSignedIn(ClientError):
    exit_code = SIGN_IN


class NotAllowed(ClientError):
    exit_code = SIGN_IN


class NotFound(ClientError):
    exit_code = NOT_FOUND


class WrongMoment(ClientError):
    """The thing is in a state in which this cannot be done."""

    exit_code = WRONG_MOMENT


class Unreachable(ClientError):
    """Nobody answers, or not in time."""

    exit_code = UNREACHABLE


class Damaged(ClientError):
    """What arrived is not what was sent."""


KINDS: dict[int, type[ClientError]] = {
    401: NotSignedIn,
    403: NotAllowed,
    404: NotFound,
    410: NotFound,
    409: WrongMoment,
    502: Unreachable,
    503: Unreachable,
    504: Unreachable,
}
REMEDIES = {
    NotSignedIn: "Sign in: labportal login",
    NotAllowed: "Ask a moderator or an admin of the lab.",
    NotFound: "Check the number; what belongs to a private project is shown to its members alone.",
    Unreachable: "Try again in a moment; check the address with: labportal whoami",
}


def of_response(status: int, document: Any) -> ClientError:
    """Make the error of an answer, whose body may be a problem document or anything else."""
    kind = KINDS.get(status, Invalid if 400 <= status < 500 else ClientError)
    problem = document if isinstance(document, Mapping) else {}
    fields = problem.get("errors")
    fields = fields if isinstance(fields, Mapping) else {}
    message = str(problem.get("detail") or problem.get("title") or f"The portal answered {status}.")
    return kind(
        message,
        fields={
            str(name): [str(text) for text in (texts if isinstance(texts, list) else [texts])]
            for name, texts in fields.items()
        },
        remedy=str(problem.get("remedy") or REMEDIES.get(kind, "")),
    )
