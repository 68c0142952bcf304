"""Images of the examples, built by their own Containerfiles on a base that needs no registry."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from clusters.agent.contract_command import PORT
from tests.containers import Containers

#: What is put into an example's image, as folders of site-packages.
PACKAGES = {"gait": ("numpy",)}
OWN_PACKAGES = Path(sysconfig.get_path("purelib"))
THEIR_PACKAGES = Path(sys.base_prefix) / OWN_PACKAGES.relative_to(sys.prefix)


def build(name: str, folder: Path, containers: Containers) -> str:
    packages = PACKAGES.get(name, ())
    base = containers.python_with(*packages) if packages else containers.python()
    return containers.build(f"localhost/{name}:1", folder, BASE=base, INSTALL="true")


def libraries(folder: Path) -> list[str]:
    """Return the machine's libraries that those of a folder need."""
    found = subprocess.run(
        ["ldd", *map(str, folder.glob("*.so"))], capture_output=True, text=True, check=False
    )
    paths = set(re.findall(r"=> (/\S+) \(0x", found.stdout))
    return sorted(path for path in paths if not path.startswith(str(OWN_PACKAGES)))


def run(image: str, *options: str) -> list[str]:
    """The contract's own command but for `serve`, which who starts it adds."""
    name = f"--publish=127.0.0.1:{PORT}:8080"
    limits = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--network=bridge")
    return ["podman", "run", "--rm", name, *limits, *options, image]
