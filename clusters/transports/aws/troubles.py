"""What may go wrong between the portal and AWS, in words, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """`HOLDING` of them are not tried again before a person has looked."""

    CREDENTIALS = "credentials"
    REFUSED = "refused"
    NO_MACHINE = "no_state_machine"
    NO_BUCKET = "no_bucket"
    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    OTHER = "other"


HOLDING = frozenset({Code.CREDENTIALS, Code.NO_MACHINE, Code.NO_BUCKET})
BAD_KEY = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidToken",
    }
)
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403", "AllAccessDisabled"})
BUSY = frozenset(
    {"ThrottlingException", "Throttling", "SlowDown", "RequestLimitExceeded", "TooManyRequests"}
)
NO_MACHINE = frozenset({"StateMachineDoesNotExist", "InvalidArn", "ResourceNotFound"})


@dataclass(eq=False)
class Trouble(Exception):
    """`words`: what happened, in one sentence; `remedy`: what the admin can do."""

    code: Code
    words: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.words} {self.remedy}".strip()


@contextmanager
def named(what: str) -> Iterator[None]:
    """Turn what boto3 raises into a Trouble; `what` was done, as in “listing the bucket”."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except ClientError as error:
        raise _answered(what, error) from None
    except NoCredentialsError:
        raise Trouble(
            Code.CREDENTIALS,
            f"There are no credentials for {what}.",
            "Enter an access key, or give the portal's machine a role.",
        ) from None
    except (BotoCoreError, OSError) as error:
        raise Trouble(
            Code.UNREACHABLE,
            f"AWS did not answer while {what}: {str(error)[:200]}",
            "Check the region, the endpoint and the portal's way to the internet.",
        ) from None


def _answered(what: str, error: Exception) -> Trouble:
    told = getattr(error, "response", {}).get("Error", {})
    code, message = str(told.get("Code", "")), str(told.get("Message", ""))[:200]
    if code in BAD_KEY:
        words = f"The access key was refused while {what} ({code})."
        return Trouble(Code.CREDENTIALS, words, "Enter a key that is valid.")
    if code in DENIED:
        words = f"The key may not do this: {what} ({code})."
        return Trouble(Code.REFUSED, words, "Give it the policy of deploy/aws.")
    if code in NO_MACHINE:
        words = f"There is no such state machine ({code})."
        return Trouble(Code.NO_MACHINE, words, "Enter the ARN that Terraform printed.")
    if code == "NoSuchBucket":
        return Trouble(Code.NO_BUCKET, "There is no such bucket.", "Enter the bucket's name.")
    if code in BUSY:
        return Trouble(Code.THROTTLED, f"AWS asked for patience while {what} ({code}).")
    words = f"AWS refused while {what}: {code} {message}".strip()
    return Trouble(Code.OTHER, words, "Look at what it says; the policy is in deploy/aws.")
