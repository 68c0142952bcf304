"""Names of container images as they may be handed to an engine.

Engines take more than names: `dir:`, `oci-archive:` and the like read files of this machine, and
what begins with a dash is an option. Only names of a registry's or this machine's images pass.
"""

from __future__ import annotations

import re

from clusters.agent.runtimes.base import RuntimeFailed

LONGEST = 255
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]{{1,5}})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
REFERENCE = re.compile(
    rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::{_TAG})?(?:@sha256:[a-f0-9]{{64}})?", re.ASCII
)
# What podman reads as the way to an image where it stands before a colon.
TRANSPORTS = frozenset(
    {
        "containers-storage",
        "dir",
        "docker",
        "docker-archive",
        "docker-daemon",
        "oci",
        "oci-archive",
        "ostree",
        "sif",
        "tarball",
    }
)


def check_image(name: str) -> str:
    """Return `name` where it names an image and nothing else. Raises RuntimeFailed."""
    first = name.partition(":")[0]
    if len(name) > LONGEST or not REFERENCE.fullmatch(name) or first in TRANSPORTS:
        raise RuntimeFailed(
            f"{name[:120]!r} is not the name of an image; write registry/name:tag in small letters,"
            " such as ghcr.io/lab/redshift:1",
            code="image_refused",
        )
    return name


def is_local(name: str) -> bool:
    """Whether no registry has it by its name: it was built or loaded on this machine."""
    return name.startswith("localhost/")
