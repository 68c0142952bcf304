"""Which portals a person uses, and the refresh token of each, in one file that only they can read.

A refresh token may be used once: whoever uses it holds the lock of the folder until the next one is
stored.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from labportal.client.errors import Invalid, NotSignedIn

DEFAULT = "default"


@dataclass(frozen=True)
class Profile:
    name: str
    url: str
    username: str = ""
    refresh: str = field(default="", repr=False)


def folder() -> Path:
    """Where the profiles lie: $LABPORTAL_CONFIG, or labportal in the user's configuration."""
    if own := os.environ.get("LABPORTAL_CONFIG"):
        return Path(own)
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "labportal"


class Profiles:
    """The file `profiles.json` of a folder: profiles by name, and the one that is meant."""

    def __init__(self, place: Path | None = None) -> None:
        self.folder = place or folder()
        self.path = self.folder / "profiles.json"

    def all(self) -> dict[str, Profile]:
        document = self._read()
        return {name: Profile(name=name, **entry) for name, entry in document["profiles"].items()}

    @property
    def chosen(self) -> str:
        return str(os.environ.get("LABPORTAL_PROFILE") or self._read()["default"])

    def get(self, name: str = "") -> Profile:
        """Return the profile of that name, the chosen one where none is named."""
        known = self.all()
        wanted = name or self.chosen
        if wanted in known:
            return known[wanted]
        if name:
            named = ", ".join(known) or "none"
            raise Invalid(f"There is no portal {name!r}; known are {named}.")
        raise NotSignedIn("You are not signed in.", remedy="Sign in: labportal login --url ADDRESS")

    def put(self, profile: Profile, *, choose: bool = False) -> None:
        document = self._read()
        entry = asdict(profile)
        document["profiles"][entry.pop("name")] = entry
        if choose or document["default"] not in document["profiles"]:
            document["default"] = profile.name
        self._write(document)

    def forget_token(self, name: str) -> None:
        profile = self.all().get(name)
        if profile is not None:
            self.put(replace(profile, refresh=""))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold other processes off, and Ctrl-C too: between two tokens nothing may end this one."""
        self._make_folder()
        with (self.folder / "lock").open("a") as file, _uninterrupted():
            _lock(file)
            yield

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _read(self) -> dict[str, Any]:
        try:
            if self.path.stat().st_mode & 0o077:
                self.path.chmod(0o600)
            document = json.loads(self.path.read_text(encoding="utf-8"))
            return {"default": str(document["default"]), "profiles": dict(document["profiles"])}
        except FileNotFoundError:
            return {"default": DEFAULT, "profiles": {}}
        except (ValueError, KeyError, TypeError):
            raise Invalid(
                f"{self.path} cannot be read.", remedy=f"Remove {self.path} and sign in again."
            ) from None

    def _write(self, document: dict[str, Any]) -> None:
        """Replace the file as a whole; it is never readable for others, not for a moment."""
        self._make_folder()
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".profiles-")  # mode 0600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
        Path(name).replace(self.path)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put Ctrl-C off until the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if asked:
            raise KeyboardInterrupt


def _lock(file: Any) -> None:
    try:
        import fcntl
    except ImportError:  # no such locks there; two commands at once are rare
        return
    fcntl.flock(file, fcntl.LOCK_EX)
