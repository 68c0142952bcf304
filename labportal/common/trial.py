"""What came of it when an admin tried a part of the portal from the page of settings.

The apps that own the parts (e-mail, the file store) make trials; their cards on the page of
settings, templates/components/_trial.html, show the last one of this session.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from django.http import HttpRequest

from labportal.common.clock import now


@dataclass(frozen=True, slots=True)
class Trial:
    """`words` are one or two sentences for the page; they never hold a secret."""

    ok: bool
    words: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A trial as the card shows it."""

    ok: bool
    words: str
    at: datetime


def keep(request: HttpRequest, name: str, trial: Trial) -> None:
    """Remember the trial for the cards of this session."""
    request.session[f"trial:{name}"] = asdict(trial) | {"at": now().isoformat()}


def kept(request: HttpRequest, name: str) -> Shown | None:
    found = request.session.get(f"trial:{name}")
    if found is None:
        return None
    return Shown(found["ok"], found["words"], datetime.fromisoformat(found["at"]))


def without(secrets: tuple[str, ...], text: str) -> str:
    """Return what a server said in one line, without the given secrets should it repeat them."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "•••")
    return " ".join(text.split())[:400]
