"""Starts a throw-away RabbitMQ on free ports; all of it is in one folder and ends with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from labportal.embedded import free_port

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_S = 60


@contextlib.contextmanager
def rabbitmq() -> Iterator[RabbitMQ]:
    """Yield a broker that runs."""
    home = Path(tempfile.mkdtemp(prefix="labportal-rabbitmq-"))
    broker = RabbitMQ(home)
    try:
        broker.start()
        yield broker
    finally:
        broker.end()
        shutil.rmtree(home, ignore_errors=True)


class RabbitMQ:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.port, distribution, self.epmd = free_port(), free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self.process: subprocess.Popen[bytes] | None = None
        (home / "plugins").write_text("[].\n")
        self.environment = {
            **os.environ,
            "HOME": str(home),
            "ERL_EPMD_PORT": str(self.epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"labportal{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
        }

    def start(self) -> None:
        """Raises TimeoutError."""
        with (self.home / "out").open("ab") as out:
            self.process = subprocess.Popen(
                [SERVER],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise TimeoutError(f"RabbitMQ did not start:\n{(self.home / 'out').read_text()}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        """A server says its version first where it is asked for one that it does not speak."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.sendall(b"AMQP\x00\x00\x00\x00")
                return connection.recv(4) == b"AMQP"
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def end(self) -> None:
        self.kill()
        command = ["epmd", "-port", str(self.epmd), "-kill"]
        for _ in range(50):  # it stays for as long as it believes that the server lives
            done = subprocess.run(
                command, env=self.environment, check=False, capture_output=True, text=True
            )
            if "not allowed" not in done.stdout + done.stderr:
                return
            time.sleep(0.1)
