"""A pytest plug-in that runs before Django's settings load: throw-away PostgreSQL and Redis.

Each pytest process (each worker of xdist too) has its own pair, which ends with it however it ends.
The DATABASE_URL of the environment is never used, since tests would write to it.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import migrated
from labportal import embedded

NOT_FOR_TESTS = ("CELERY_BROKER_URL", "EMAIL_URL", "EMAIL_PROVIDER", "S3_BUCKET", "METRICS_TOKEN")

#: Of the servers of this process.
home: Path
_guard: subprocess.Popen[bytes] | None = None
_copying: subprocess.Popen[bytes] | None = None


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """Start the servers first: wrappers come before pytest-django, which loads the settings."""
    _start()
    return (yield)


def _start() -> None:
    """Set the environment that settings.py will read."""
    global home, _guard
    home = Path(tempfile.mkdtemp(prefix="labportal-tests-"))
    _guard = embedded.throw_away(home)
    servers = embedded.start(home, durable=False)
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL"):
        os.environ.pop(f"{name}_FILE", None)
    os.environ |= servers.environment() | {
        "LABPORTAL_HOME": str(home / "portal"),
        "LABPORTAL_URL": "http://testserver",
        "LABPORTAL_STATIC_MANIFEST": "no",
        "LABPORTAL_LOG": "text",
        "LABPORTAL_SOFTWARE": "noop=bench.noop:Noop",
        "SECRET_KEY": "only-for-tests-" + "x" * 40,
        "DEBUG": "no",
    }
    os.environ.setdefault(migrated.COPY, str(home / "migrated.sql"))
    # What the tests start is compiled once, not by each process anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in NOT_FOR_TESTS:
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Migrate once for all workers, while these collect."""
    global _copying
    command = [sys.executable, "-m", "bench.migrated", str(home)]
    _copying = subprocess.Popen(command, cwd=migrated.ROOT, process_group=0)


def pytest_unconfigure() -> None:
    if _copying is not None and _copying.poll() is None:
        os.killpg(_copying.pid, signal.SIGTERM)
        _copying.wait(30)
    if _guard is not None and _guard.stdin is not None:
        _guard.stdin.close()
        _guard.wait(30)
