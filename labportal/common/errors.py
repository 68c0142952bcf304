"""What services raise when something cannot be done; problems.py and middleware.py answer with it.

The message is for the person: what happened, to which object, what to do about it. It never holds
a secret or a path of the server.
"""

from collections.abc import Mapping


class DomainError(Exception):
    """A refusal with a reason; `code` is stable for programs, `field` names the field at fault."""

    status = 400
    title = "This cannot be done"
    default_code = "refused"

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        field: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message or self.title)
        self.message = message or self.title
        self.code = code or self.default_code
        self.field = field
        if status is not None:
            self.status = status

    @property
    def field_errors(self) -> dict[str, list[str]]:
        return {self.field: [self.message]} if self.field else {}


class InvalidInput(DomainError):
    """Something that was entered is wrong; `errors` says what, by field."""

    title = "Something that was entered needs attention"
    default_code = "invalid"

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        field: str | None = None,
        status: int | None = None,
        errors: Mapping[str, str] | None = None,
    ) -> None:
        self.errors = dict(errors or ({field: message} if field else {}))
        super().__init__(
            message or " ".join(self.errors.values()), code=code, field=field, status=status
        )

    @property
    def field_errors(self) -> dict[str, list[str]]:
        return {name: [text] for name, text in self.errors.items()}


class NotAllowed(DomainError):
    status = 403
    title = "Your role does not allow this"
    default_code = "not-allowed"


class NotFound(DomainError):
    status = 404
    title = "There is no such thing, or it is not yours to see"
    default_code = "not-found"


class WrongMoment(DomainError):
    """The object's state does not allow the verb now."""

    status = 409
    title = "This is not possible in the present state"
    default_code = "wrong-moment"


class Stale(WrongMoment):
    """Somebody else was quicker: the row is no longer what the caller saw."""

    title = "This was changed meanwhile; look again"
    default_code = "stale"


class TooLarge(DomainError):
    status = 413
    title = "This is too large"
    default_code = "too-large"


class Unavailable(DomainError):
    """A part that is needed does not answer; trying again later may help."""

    status = 503
    title = "A part of the portal does not answer at the moment"
    default_code = "unavailable"
