"""A `docker` that answers what a real one of version 20.10.24 has answered, and notes how it was
called.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROGRAM = """\
#!/bin/sh
cd "${0%/*}" || exit 99
for word; do printf '%s\\0' "$word"; done >>calls; printf '\\n\\0' >>calls
name=$1
[ "$1" = container ] || [ "$1" = image ] && name=$1-$2
for word; do case "$word" in --cidfile=*) [ -f cid ] && cp cid "${word#--cidfile=}";; esac; done
[ -f "$name.out" ] && cat "$name.out"
[ -f "$name.err" ] && cat "$name.err" >&2
exit "$(cat "$name.code" 2>/dev/null || echo 0)"
"""
INFO = {
    "ServerVersion": "20.10.24+dfsg1",
    "MemoryLimit": True,
    "CpuCfsQuota": True,
    "PidsLimit": True,
    "Runtimes": {"io.containerd.runc.v2": {"path": "runc"}, "runc": {"path": "runc"}},
    "SecurityOptions": ["name=seccomp,profile=default"],
}
AWAY = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
    "Is the docker daemon running?"
)
IDENTITY = "8320403fef6d91965678a1c9ca845c20b321a7c9f687dbc9a3d88215644b6fe4"


class FakeDocker:
    """`folder` stands first in PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        program = folder / "docker"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        self.answer("info", out=json.dumps(INFO))

    def answer(self, name: str, *, out: str = "", err: str = "", code: int = 0) -> None:
        """Say what a command such as "run" or "container-inspect" answers from now on."""
        for end, text in (("out", out), ("err", err), ("code", str(code))):
            (self.folder / f"{name}.{end}").write_text(text)

    def makes(self, identity: str = IDENTITY) -> None:
        """Let `run` make a container, whether or not it can be started."""
        (self.folder / "cid").write_text(identity)

    def calls(self, name: str) -> list[list[str]]:
        """Return the arguments of each call of a command."""
        text = (self.folder / "calls").read_text()
        found = [one.split("\0")[:-1] for one in text.split("\n\0") if one]
        return [words for words in found if words[0] == name]


def container(identity: str = IDENTITY, *, labels: dict[str, str], **state: Any) -> dict[str, Any]:
    usual = {"Running": False, "OOMKilled": False, "Pid": 0, "ExitCode": 0, "Error": ""}
    return {"Id": identity, "State": {**usual, **state}, "Config": {"Labels": labels}}
