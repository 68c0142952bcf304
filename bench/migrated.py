"""The database of an empty portal, which takes long to migrate: migrated once, then copied.

`LABPORTAL_MIGRATED` names the file of the copy, which whoever needs it first makes; without that
variable each database is migrated. `python -m bench.migrated` makes it ahead of time.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from labportal.embedded.postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent
COPY = "LABPORTAL_MIGRATED"


def fill(home: Path, environment: Mapping[str, str]) -> None:
    """Bring the empty database of the servers in this folder to where `migrate` brings it."""
    copy = Path(environment.get(COPY, ""))
    if not copy.name:
        _migrate(environment)
        return
    server = Postgres(home)
    with copy.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not copy.exists():
            _migrate(environment)
            draft = copy.with_suffix(".draft")
            _run(server.programs / "pg_dump", "--file", draft, server.url)
            draft.rename(copy)
            return
    once = ("--quiet", "--no-psqlrc", "--single-transaction", "--set", "ON_ERROR_STOP=1")
    _run(server.programs / "psql", *once, "--file", copy, server.url)


def _migrate(environment: Mapping[str, str]) -> None:
    _run(sys.executable, "manage.py", "migrate", "-v", "0", environment=environment)


def _run(*command: object, environment: Mapping[str, str] | None = None) -> None:
    said = [str(part) for part in command]
    subprocess.run(said, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


if __name__ == "__main__":
    fill(Path(sys.argv[1]), os.environ)
