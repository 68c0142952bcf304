"""Asks the programs of a site which version they are. Standard library only, Python 3.9."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE_S = 20
LONGEST_ANSWER = 20_000  # bytes


def python_says(site: Mapping[str, str], code: str) -> str | None:
    """Return what the site's interpreter (default: the agent's own) prints for some code, None
    where it cannot run it.
    """
    words = [site.get("python") or sys.executable, "-c", code]
    answer = _answer(words, errors=subprocess.DEVNULL)
    if answer is None or answer.returncode != 0:
        return None
    return _text(answer).strip()[:60] or None


def program_says(words: Sequence[str], folder: str | Path) -> str:
    """Return what a program says in a folder, on both streams and whatever its exit code is; empty
    where it cannot be started or does not end.
    """
    answer = _answer(words, errors=subprocess.STDOUT, folder=folder)
    return "" if answer is None else _text(answer)


def _answer(
    words: Sequence[str], *, errors: int, folder: str | Path | None = None
) -> subprocess.CompletedProcess[bytes] | None:
    try:
        return subprocess.run(  # noqa: S603  (the site's own executable, no shell)
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None


def _text(answer: subprocess.CompletedProcess[bytes]) -> str:
    return answer.stdout[:LONGEST_ANSWER].decode("utf-8", errors="replace")
