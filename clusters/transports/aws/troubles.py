"""What may go wrong between the portal and AWS, in words, with what to do about it: the field of
the form, where one is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from clusters.transports.trials import Trouble


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


@dataclass(frozen=True)
class _Answer:
    """What error codes of AWS mean; `{what}` and `{code}` stand in the words."""

    told: frozenset[str]
    code: Code
    words: str
    remedy: str


def _answer(told: str, code: Code, words: str, remedy: str) -> _Answer:
    return _Answer(frozenset(told.split()), code, words, remedy)


BY_ITSELF = "It is tried again by itself."
ANSWERS = (
    _answer(
        "InvalidAccessKeyId InvalidClientTokenId UnrecognizedClientException",
        Code.CREDENTIALS,
        "AWS does not know the access key ({code}).",
        "Correct “Access key ID”, or enter another key with its secret.",
    ),
    _answer(
        "SignatureDoesNotMatch InvalidSignatureException",
        Code.CREDENTIALS,
        "The secret does not belong to the access key ({code}).",
        "Enter “Secret access key” again, and see that the clock of the portal's machine is right.",
    ),
    _answer(
        "ExpiredToken ExpiredTokenException InvalidToken",
        Code.CREDENTIALS,
        "The credentials are no longer valid ({code}).",
        "Enter another “Access key ID” with its secret, or renew the role of the portal's machine.",
    ),
    _answer(
        "RequestTimeTooSkewed RequestExpired",
        Code.OTHER,
        "AWS says that the portal's clock is wrong ({code}).",
        "Set the clock of the portal's machine; no field is wrong.",
    ),
    _answer(
        "AccessDenied AccessDeniedException 403 AllAccessDisabled",
        Code.REFUSED,
        "The key may not do this: {what} ({code}).",
        "Give the user of “Access key ID” (or the machine's role) the policy of deploy/aws, made "
        "for this bucket and these folders.",
    ),
    _answer(
        "StateMachineDoesNotExist InvalidArn ResourceNotFound",
        Code.NO_MACHINE,
        "There is no such state machine ({code}).",
        "Enter in “State machine” the ARN that Terraform printed.",
    ),
    _answer(
        "NoSuchBucket 404",
        Code.NO_BUCKET,
        "There is no such bucket.",
        "Enter in “Bucket” the name that Terraform printed.",
    ),
    _answer(
        "301 PermanentRedirect AuthorizationHeaderMalformed IllegalLocationConstraintException",
        Code.NO_BUCKET,
        "The bucket lies in another region ({code}).",
        "Enter in “Bucket” one that lies in the region of the state machine.",
    ),
    _answer(
        "OptInRequired RegionDisabledException",
        Code.OTHER,
        "The account does not use this region ({code}).",
        "Correct “Region” and “State machine”, or enable the region in the account.",
    ),
    _answer(
        "ThrottlingException Throttling SlowDown RequestLimitExceeded TooManyRequests 429",
        Code.THROTTLED,
        "AWS asked for patience while {what} ({code}).",
        BY_ITSELF,
    ),
    _answer(
        "InternalError InternalFailure InternalServerError ServiceUnavailable 500 502 503 504",
        Code.UNREACHABLE,
        "AWS failed while {what} ({code}).",
        BY_ITSELF,
    ),
)
NO_CREDENTIALS = (
    "Enter “Access key ID” and “Secret access key”, or give the portal's machine a role."
)


@contextmanager
def named(what: str) -> Iterator[None]:
    """Turn what boto3 raises into a Trouble; `what` was done, as in “listing the bucket”."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    try:
        yield
    except exceptions.ClientError as error:
        raise _answered(what, error) from None
    except exceptions.NoCredentialsError:
        words = f"There are no credentials for {what}."
        raise Trouble(Code.CREDENTIALS, words, NO_CREDENTIALS) from None
    except (
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.ProfileNotFound,
        exceptions.ConfigParseError,
    ) as error:
        words = f"The machine's own credentials are not usable: {str(error)[:200]}"
        raise Trouble(Code.CREDENTIALS, words, NO_CREDENTIALS) from None
    except ResponseParserError:
        words = f"What answered while {what} is not AWS."
        remedy = "Correct “Endpoint”, or see what stands between the portal and the internet."
        raise Trouble(Code.UNREACHABLE, words, remedy) from None
    except (exceptions.BotoCoreError, OSError, ValueError) as error:  # an endpoint that is no URL
        raise Trouble(
            Code.UNREACHABLE,
            f"AWS did not answer while {what}: {str(error)[:200]}",
            "Check “Region”, “Endpoint” and the portal's way to the internet.",
        ) from None


def _answered(what: str, error: Exception) -> Trouble:
    told = getattr(error, "response", {}).get("Error", {})
    code, message = str(told.get("Code", "")), str(told.get("Message", ""))[:200]
    for answer in ANSWERS:
        if code in answer.told:
            return Trouble(answer.code, answer.words.format(what=what, code=code), answer.remedy)
    words = f"AWS refused while {what}: {code} {message}".strip()
    remedy = "Compare what is entered with what Terraform printed; the policy is in deploy/aws."
    return Trouble(Code.OTHER, words, remedy)
