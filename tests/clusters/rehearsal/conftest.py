"""Fake sites for tests, and a way to call their programs; no database is needed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusters.rehearsal.site import Site
from tests.clusters.without_portal import _nothing_left_over, _quick_passwords, files_dir

__all__ = ["_nothing_left_over", "_quick_passwords", "files_dir"]

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(kind: str = "slurm", **settings: object) -> Site:
        made.append(Site(tmp_path / f"site-{len(made)}", kind, **settings))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def call(tmp_path: Path) -> Callable[[Site], Call]:
    """Call a program of a site in the test's folder."""

    def of(site: Site) -> Call:
        def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
            environment = {**os.environ, "PATH": site.path, **more}
            return subprocess.run(
                words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=30
            )

        return run

    return of


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "job.sh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        return str(path)

    return write
