"""Builds `labportal-node` as one wheel, which the portal serves: the agent and its queue, with
Celery to be installed beside them.

The version holds a digest of the content, so that pip sees when the portal has a newer one.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from functools import cache
from pathlib import Path

import celery

from clusters import agent_file
from clusters.agent import __version__

NODE = "clusters/node"
PYTHON = ">=3.9"
METADATA = """\
Metadata-Version: 2.1
Name: labportal-node
Version: {version}
Summary: Runs what a Labportal sends to this machine through a broker
Requires-Python: {python}
Requires-Dist: celery[redis]=={celery}
"""
WHEEL = """\
Wheel-Version: 1.0
Generator: labportal
Root-Is-Purelib: true
Tag: py3-none-any
"""
SCRIPTS = "[console_scripts]\nlabportal-node = clusters.node.cli:main\n"


@cache
def version() -> str:
    digest = hashlib.sha256()
    for name, content in sorted(agent_file.carried(NODE).items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return f"{__version__}+{digest.hexdigest()[:12]}"


def file_name() -> str:
    return f"labportal_node-{version()}-py3-none-any.whl"


def build(folder: Path) -> Path:
    """Write the wheel into `folder` and return its path."""
    about = f"labportal_node-{version()}.dist-info"
    told = METADATA.format(version=version(), python=PYTHON, celery=celery.__version__)
    contents = {
        **agent_file.carried(NODE),
        f"{about}/METADATA": told.encode(),
        f"{about}/WHEEL": WHEEL.encode(),
        f"{about}/entry_points.txt": SCRIPTS.encode(),
    }
    lines = [f"{name},{_digest(contents[name])},{len(contents[name])}" for name in sorted(contents)]
    record = f"{about}/RECORD"
    contents[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    target = folder / file_name()
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    with zipfile.ZipFile(temporary, "w") as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, agent_file.EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=9)
    temporary.replace(target)
    return target


def _digest(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"sha256={digest}"
