"""PostgreSQL and Redis out of wheels, without root, Docker or configuration: a laptop, demo, tests.

start() adopts servers that were left running when their starter was killed; stop() ends them; both
may be repeated. PostgreSQL listens on a private Unix socket, Redis on loopback behind a password.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labportal.embedded.files import ServerFailed, free_port, remembered_port, write
from labportal.embedded.postgres import Postgres
from labportal.embedded.redis_server import RedisServer

__all__ = ["ServerFailed", "Servers", "free_port", "remembered_port", "start", "stop", "throw_away"]

DEFAULT_HOME = Path(__file__).resolve().parent.parent.parent / ".labportal"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the running servers are found."""

    database_url: str
    redis_url: str

    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}


def start(home: Path = DEFAULT_HOME, *, durable: bool = True) -> Servers:
    """Start what is not running, adopt what is; `durable=False` trades safety for speed (tests)."""
    _make_home(home)
    with _only_one(home):
        database_url = Postgres(home).start(durable=durable)
        redis_url = RedisServer(home).start(durable=durable)
        servers = Servers(database_url, redis_url)
        write(home / "servers.env", "".join(f"{k}={v}\n" for k, v in servers.environment().items()))
        return servers


def stop(home: Path = DEFAULT_HOME) -> None:
    """Stop both servers within four seconds each; nothing that was committed is lost."""
    if not home.is_dir():
        return
    with _only_one(home):
        (home / "servers.env").unlink(missing_ok=True)
        RedisServer(home).stop()
        Postgres(home).stop()


def throw_away(home: Path) -> subprocess.Popen[bytes]:
    """Return a guard that stops the servers and removes the folder once its input is closed.

    The pipe closes however the caller ends, so that a killed test run leaves nothing behind.
    """
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "labportal.embedded", "guard", str(home)],
        stdin=subprocess.PIPE,
        start_new_session=True,
        cwd=DEFAULT_HOME.parent,
    )


def _make_home(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    # As root, PostgreSQL's user must pass through to its folder; each file here has its own mode.
    home.chmod(0o711 if os.geteuid() == 0 else 0o700)


@contextlib.contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Let one process at a time start or stop the servers of this folder."""
    with (home / "servers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
