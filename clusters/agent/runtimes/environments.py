"""Virtual environments of models that run as processes: one for each content of requirements.txt.

From wheels alone, so that nothing of a package is run while it is installed. Shared by all launches
that need the same, and made once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Collection, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from clusters.agent.commands import Answer, call
from clusters.agent.runtimes.base import RuntimeFailed

REQUIREMENTS = "requirements.txt"
LARGEST = 256 * 1024
MAKE_S, INSTALL_S = 180.0, 3600.0
UNUSED_S = 30 * 86_400.0
WHOLE = "labportal-complete"  # stands in an environment that was made to its end
OPTIONS = ("--index-url", "--extra-index-url", "--find-links", "--no-index", "--require-hashes")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?", re.ASCII)
SOURCES = re.compile(r"\.(zip|tar|tgz|tbz|txz|tar\.\w+)$", re.IGNORECASE)
WHEEL = re.compile(r"@\s*(https|file)://\S+\.whl(#\S*)?(\s|$)")


class Environments:
    """The environments below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self, folder: Path, in_use: Collection[str] = ()) -> Path | None:
        """Return the environment of a model's folder, None where it asks for none. `in_use`: names
        of environments that must stay. Raises RuntimeFailed.
        """
        keep, text = set(in_use), _requirements(folder)
        if text is None:
            self.clear(keep)
            return None
        check_requirements(text)
        place = self.root / _digest(folder, text)
        self.clear(keep | {place.name})
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(self.root / f"{place.name}.lock"):
            whole = place / WHOLE
            if not whole.exists():
                shutil.rmtree(place, ignore_errors=True)
                try:
                    self._make(place, folder)
                except BaseException:
                    shutil.rmtree(place, ignore_errors=True)
                    raise
            whole.touch()  # by which its last use is known
        return place

    def _make(self, place: Path, folder: Path) -> None:
        python = str(place / "bin" / "python")
        pip = [sys.executable, "-I", "-m", "pip", "--python", python]
        making = [sys.executable, "-I", "-m", "venv", str(place)]
        if _has_pip():  # which installs for others, too; a pip in each takes seconds
            making.insert(-1, "--without-pip")
        else:
            pip = [python, "-I", "-m", "pip"]
        made = call(making, timeout_s=MAKE_S)
        if not made.good:
            raise RuntimeFailed(
                f"No virtual environment could be made: {_end(made)}. The node needs Python's venv "
                "(Debian: apt install python3-venv).",
                code="environment",
            )
        answer = call(
            [
                *(*pip, "install", "--only-binary=:all:", "--no-input", "--quiet"),
                *("--disable-pip-version-check", f"--requirement={folder / REQUIREMENTS}"),
            ],
            timeout_s=INSTALL_S,
        )
        if not answer.good:
            raise RuntimeFailed(
                f"What {REQUIREMENTS} asks for could not be installed from wheels: {_end(answer)}",
                code="install",
            )

    def clear(self, keep: Collection[str]) -> None:
        """Delete what nothing has used for long, and what was left half made."""
        for place in self.root.iterdir() if self.root.is_dir() else ():
            if place.name in keep or not place.is_dir():
                continue
            with contextlib.suppress(OSError), _alone(self.root / f"{place.name}.lock", wait=False):
                whole = place / WHOLE
                if not whole.exists() or time.time() - whole.stat().st_mtime > UNUSED_S:
                    shutil.rmtree(place, ignore_errors=True)


def check_requirements(text: str) -> None:
    """Refuse lines by which something would be built or run at once. Raises RuntimeFailed."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        words = re.sub(r"(^|\s)#.*", "", line).strip()
        option = re.split(r"[\s=]", words, maxsplit=1)[0]
        if not words or option in OPTIONS:
            continue
        named = NAME.match(words)
        rest = words[named.end() :].strip() if named else ""
        by_wheel = not rest.startswith("@") or WHEEL.match(rest)
        plain = not rest or rest[0] in "<>=!~;(@-"
        if named is None or SOURCES.search(named.group()) or not plain or not by_wheel:
            raise RuntimeFailed(
                f"{REQUIREMENTS} holds {words[:120]!r}: name packages that there are wheels of, "
                "such as numpy==2.4.6, and no folders, archives of sources or repositories.",
                code="environment",
            )


def _has_pip() -> bool:
    try:
        major, minor = (int(word) for word in version("pip").split(".")[:2])
    except (PackageNotFoundError, ValueError):
        return False
    return (major, minor) >= (22, 3)  # it knows --python


def _requirements(folder: Path) -> str | None:
    path = folder / REQUIREMENTS
    try:
        if path.stat().st_size > LARGEST:
            raise RuntimeFailed(f"{path} is too long.", code="environment")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise RuntimeFailed(f"{path} cannot be read: {error}", code="environment") from None


def _digest(folder: Path, text: str) -> str:
    """Wheels that lie in the folder count by their names, since requirements may point there."""
    wheels = sorted(path.name for path in folder.rglob("*.whl")) if "--find-links" in text else []
    parts = [text, sys.version, sys.executable, *wheels]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@contextlib.contextmanager
def _alone(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock that ends with its process. Raises OSError where `wait` is not wished."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def _end(answer: Answer) -> str:
    lines = [line.strip() for line in answer.err.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return " ".join(errors or lines[-1:] or [answer.words])[:600]
