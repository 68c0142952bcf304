"""A real SSH server on loopback, with throw-away keys and its whole state in one folder."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/{host_key}
AuthorizedKeysFile {folder}/authorized_keys
{more}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile {folder}/sshd.pid
{sftp}
LogLevel VERBOSE
MaxStartups 50
"""
SFTP = "Subsystem sftp internal-sftp"
LOGIN = """
case $SSH_ORIGINAL_COMMAND in
    internal-sftp) exec /usr/lib/openssh/sftp-server ;;
esac
printf '{noise}'
exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
"""


class Sshd:
    """Started and stopped as often as a test wants; `noise` is printed by each login."""

    user = getpass.getuser()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._more = ""
        for name in ("host_key", "other_host_key"):
            make_key(folder / name)
        self.allow()

    def allow(self, *lines: str) -> None:
        """Let in whoever holds one of these keys."""
        (self.folder / "authorized_keys").write_text("".join(f"{line}\n" for line in lines))

    def start(self, *, host_key: str = "host_key", more: str = "", sftp: bool = True) -> Sshd:
        config = self.folder / "sshd_config"
        values = {"port": self.port, "folder": self.folder, "host_key": host_key, "more": more}
        config.write_text(CONFIG.format(**values, sftp=SFTP if sftp else ""))
        Path("/run/sshd").mkdir(exist_ok=True)  # where it goes to be without rights
        self._process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-f", str(config), "-E", str(self.folder / "log")],
            start_new_session=True,
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            time.sleep(0.01)
        raise TimeoutError((self.folder / "log").read_text())

    def noisy(self, text: str) -> Sshd:
        """Start with a profile that prints before each command, as many sites' do."""
        (self.folder / "login.sh").write_text(LOGIN.format(noise=text))
        return self.start(more=f"ForceCommand /bin/sh {self.folder}/login.sh")

    def stop(self) -> None:
        """End the server and every connection that it holds."""
        if self._process is None:
            return
        for pid in [self._process.pid, *self._connections()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _connections(self) -> list[int]:
        """Each connection is a child of the server; the commands it runs are left alone."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def sign_ins(self) -> int:
        return (self.folder / "log").read_text().count("Accepted publickey")

    def attempts(self) -> int:
        return (self.folder / "log").read_text().count("Connection from ")


def make_key(path: Path) -> Path:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(words, check=True)
    return path


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
