"""What may go wrong on the way to a site, each with its own words and what to do about it.

OpenSSH says it in English on standard error; `from_ssh` reads that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from clusters.transports.trials import Trouble


class Code(StrEnum):
    """`HOLDING` of them are not tried again before a person has looked."""

    UNKNOWN_HOST = "unknown_host"
    UNREACHABLE = "unreachable"
    REFUSED = "connection_refused"
    TIMED_OUT = "timed_out"
    CLOSED = "closed"
    NO_HOST_KEY = "host_key_not_confirmed"
    HOST_KEY = "host_key_changed"
    SIGN_IN = "sign_in_refused"
    NO_KEY = "no_key"
    ALGORITHMS = "no_common_algorithm"
    NO_PYTHON = "no_python"
    OLD_PYTHON = "old_python"
    NO_SFTP = "no_sftp"
    WORK = "work_folder"
    LINK = "work_folder_is_a_link"
    DISK_FULL = "disk_full"
    AGENT = "agent"
    SETTINGS = "agent_settings"
    SCHEDULER = "scheduler"
    BUSY = "work_folder_in_use"
    NOISE = "no_frames"
    LOST = "connection_lost"
    OTHER = "other"


HOLDING = frozenset({Code.HOST_KEY, Code.NO_HOST_KEY, Code.NO_KEY})
FEW_TRIES = frozenset({Code.SIGN_IN})  # sites ban whoever is refused some times in a row


@dataclass(frozen=True)
class _Saying:
    pattern: re.Pattern[str]
    code: Code
    words: str
    remedy: str


def _saying(pattern: str, code: Code, words: str, remedy: str) -> _Saying:
    return _Saying(re.compile(pattern, re.IGNORECASE), code, words, remedy)


NEW_KEY = (
    "Nothing is sent there any more. Ask the site whether its keys were changed, then ask the host "
    "for its keys again, compare the fingerprints and confirm them."
)
SAYINGS = (
    _saying(
        r"host identification has changed|host key .* has changed|no \S+ host key is known"
        r"|host key verification failed",
        Code.HOST_KEY,
        "The host showed another key than the one that was confirmed.",
        NEW_KEY,
    ),
    _saying(
        r"permission denied|too many authentication failures",
        Code.SIGN_IN,
        "The host did not accept the key for this user.",
        "See that the user is right and that the line of the public key stands in its "
        "~/.ssh/authorized_keys, or that the certificate is still valid.",
    ),
    _saying(
        r"could not resolve hostname|name or service not known|nodename nor servname",
        Code.UNKNOWN_HOST,
        "The host's name is not known.",
        "Correct the host, or enter its address.",
    ),
    _saying(
        r"connection refused",
        Code.REFUSED,
        "The host refused the connection: nothing listens there.",
        "See that the port is right and that the site's SSH server runs.",
    ),
    _saying(
        r"timed out",
        Code.TIMED_OUT,
        "The host gave no answer in time.",
        "See that host and port are right and that no firewall stands between.",
    ),
    _saying(
        r"no route to host|network is unreachable",
        Code.UNREACHABLE,
        "There is no way to the host.",
        "See that host and port are right and that the portal's machine may call out.",
    ),
    _saying(
        r"unable to negotiate|no matching",
        Code.ALGORITHMS,
        "Portal and host have no cipher or key type in common.",
        "Ask the site which key types it takes; a pasted key may be of another type.",
    ),
    _saying(
        r"kex_exchange_identification|connection (closed|reset)|broken pipe|closed by remote",
        Code.CLOSED,
        "The host closed the connection before the sign-in.",
        "It may be closed for maintenance, or have banned the portal's address: ask the site.",
    ),
)


def from_ssh(text: str) -> Trouble:
    """Return what OpenSSH's words on standard error mean."""
    for saying in SAYINGS:
        if saying.pattern.search(text):
            return Trouble(saying.code, saying.words, saying.remedy)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = lines[-1][:300] if lines else "it gave no reason"
    return Trouble(Code.OTHER, f"The sign-in failed: {said}", "Try it by hand with ssh -v.")


def no_room(text: str) -> bool:
    """Whether sftp could not write; of a full disk it says no more than "Failure"."""
    return bool(re.search(r"no space left|quota|write remote .*: failure", text, re.IGNORECASE))
