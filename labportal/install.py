"""Set-up of a checkout: .venv, the project in it, the browsers' files; the Makefile calls it.

Standard library alone, since nothing is installed yet. It does again only what has changed; it
needs no root and touches nothing outside the checkout.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
DONE = VENV / "labportal-installed.json"
LOG = VENV / "labportal-install.log"
EXTRAS = {"demo": ("client", "demo", "embedded"), "test": ("demo", "embedded", "ml", "test")}
PACKAGES_ABOUT = {"demo": 105, "test": 130}
ASSETS_ABOUT = 9


class Failed(Exception):
    """A step did not succeed; the message says what to do."""


class Bar:
    """A line of progress: redrawn on a terminal, a line now and then elsewhere."""

    def __init__(self, what: str, about: int) -> None:
        self.what, self.about, self.done = what, about, 0
        self.began = self.shown = time.monotonic()
        self.live = sys.stderr.isatty()
        self._draw("")

    def advance(self, name: str) -> None:
        self.done += 1
        self._draw(name)

    def finish(self, word: str = "done") -> None:
        self.about = max(self.done, 1)
        self.done = self.about
        self._draw(f"{word} in {time.monotonic() - self.began:.1f} s", end="\n", now=True)

    def _draw(self, note: str, *, end: str = "", now: bool = False) -> None:
        # The number of packages is an estimate: the bar is full only when the step has ended.
        share = min(self.done / self.about, 1.0 if now else 0.97)
        filled = round(share * 24)
        line = f"{self.what:<22} [{'#' * filled}{'.' * (24 - filled)}] {note[:40]}"
        if self.live:
            sys.stderr.write(f"\r\033[K{line}{end}")
        elif now or time.monotonic() - self.shown > 10:
            self.shown = time.monotonic()
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("purpose", choices=sorted(EXTRAS))
    purpose = parser.parse_args().purpose
    if sys.version_info < (3, 11):  # noqa: UP036 - older ones do start this file
        sys.stderr.write("Labportal needs Python 3.11 or later: make PYTHON=python3.12 ...\n")
        return 1
    try:
        make_environment()
        install_packages(purpose)
        install_assets()
        collect_files()
    except Failed as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; the next start goes on from here.\n")
        return 130
    return 0


def make_environment() -> None:
    if PYTHON.exists():
        return
    bar = Bar("Python environment", 1)
    try:
        venv.EnvBuilder(with_pip=True, symlinks=True, clear=VENV.exists()).create(VENV)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(VENV, ignore_errors=True)
        raise Failed(
            "The virtual environment could not be made. On Debian and Ubuntu the package "
            f"python3-venv is needed. ({error})"
        ) from error
    bar.finish()


def install_packages(purpose: str) -> None:
    """Install the project and its pinned dependencies, unless they are what was installed last."""
    have = _done()
    extras = sorted({*EXTRAS[purpose], *have.get("extras", [])})
    wanted = {"extras": extras, "project": _digest(ROOT / "pyproject.toml")}
    if {name: have.get(name) for name in wanted} == wanted:
        return
    bar = Bar("Python packages", PACKAGES_ABOUT[purpose])
    _run(
        _pip_install(extras),
        lambda line: bar.advance(line.split()[1]) if line.startswith("Collecting ") else None,
        "The Python packages could not be installed",
    )
    _note(wanted)
    bar.finish()


def _pip_install(extras: Iterable[str]) -> list[str]:
    options = ["--disable-pip-version-check", "--progress-bar=off", "--editable"]
    return [str(PYTHON), "-m", "pip", "install", *options, f"{ROOT}[{','.join(extras)}]"]


def install_assets() -> None:
    """Install what browsers get from npm; where there is no npm, one comes out of a wheel."""
    wanted = {"assets": _digest(ROOT / "package-lock.json")}
    if _done().get("assets") == wanted["assets"] and (ROOT / "node_modules").is_dir():
        return
    bar = Bar("Browser files", ASSETS_ABOUT)
    _run(
        [*_npm(), "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=http"],
        lambda line: bar.advance("") if "GET 200" in line or "cache" in line else None,
        "The browser files could not be installed",
    )
    _note(wanted)
    bar.finish()


def _npm() -> list[str]:
    if (npm := shutil.which("npm")) and shutil.which("node"):
        return [npm]
    if not (VENV / "bin" / "npm").exists():
        _run(
            _pip_install(["assets"]),
            lambda line: None,
            "There is no npm, and it could not be installed as a wheel either",
        )
    return [str(VENV / "bin" / "npm")]


def collect_files() -> None:
    """Copy and compress the static files for serving, unless nothing changed."""
    sources = [
        *sorted(path for path in (ROOT / "static").rglob("*") if path.is_file()),
        ROOT / "package-lock.json",
        ROOT / "pyproject.toml",
        ROOT / "labportal" / "common" / "vendor.py",
    ]
    wanted = {"static": _digest(*sources)}
    if _done().get("static") == wanted["static"] and (ROOT / "staticfiles").is_dir():
        return
    bar = Bar("Static files", 1)
    _run(
        [str(PYTHON), "manage.py", "collectstatic", "--no-input", "--clear", "--verbosity=0"],
        lambda line: None,
        "The static files could not be collected",
        # Collecting needs settings, but neither the database nor a secret.
        {"DATABASE_URL": "postgresql:///none", "SECRET_KEY": "none", "LABPORTAL_URL": ""},
    )
    _note(wanted)
    bar.finish()


def _run(
    command: list[str],
    on_line: Callable[[str], object],
    complaint: str,
    environment: dict[str, str] | None = None,
) -> None:
    """Run a step with its output in the log; on failure show the end of it."""
    kept: list[str] = []
    with subprocess.Popen(  # noqa: S603 - commands of this file
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | {"PATH": _path(), "PYTHONUNBUFFERED": "1"} | (environment or {}),
    ) as process:
        for line in process.stdout or ():
            kept.append(line)
            on_line(line)
    with LOG.open("a", encoding="utf-8") as log:
        log.writelines([f"$ {' '.join(command)}\n", *kept])
    if process.returncode:
        raise Failed(f"{complaint}. The end of {LOG}:\n" + "".join(kept[-15:]))


def _path() -> str:
    return f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(_content(files))).hexdigest()


def _content(files: Iterable[Path]) -> Iterable[bytes]:
    for file in files:
        yield str(file.relative_to(ROOT)).encode()
        yield file.read_bytes()


def _done() -> dict[str, object]:
    try:
        return dict(json.loads(DONE.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _note(facts: dict[str, object]) -> None:
    DONE.write_text(json.dumps(_done() | facts), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
