"""The contract of a runtime: how one server of a model, or one step in a container, is run here.

Called by `serving`, always in a worker thread: every method may take seconds, none may hang.
Standard library only, Python 3.9.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class RuntimeFailed(Exception):
    """What was asked of a runtime did not succeed; the message is for people, with the remedy.

    `code`: "image_missing", "image_refused", "bad_files", "no_gpu", "no_engine", "folder_refused",
    "environment", "install", "port_taken", "engine".
    """

    def __init__(self, message: str, *, code: str = "engine") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class ServingSpec:
    """What the portal wants served: the reply's `spec`, read and checked by `from_json`.

    `name` is safe in names of containers and folders. `files`: {"name", "size", "sha256"} of the
    tar.gz for /opt/ml/model. `command` is what is started, for containers after the image's own
    entry point; empty: the argument `serve` alone. `check`: {"content_type", "body"} of an example
    that has to be answered by 2xx before a replica counts as ready. `secrets`: whether the portal
    has secret variables for it. `purpose`: "serve" or "contract".
    """

    replica: str
    name: str
    model: str
    version: int
    runtime: str
    image: str = ""
    folder: str = ""
    command: tuple[str, ...] = ()
    files: Mapping[str, Any] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: bool = False
    cores: int = 1
    memory_mib: int = 1024
    gpus: int = 0
    gpu_type: str = ""
    read_only_root: bool = True
    startup_s: float = 480.0
    ping_s: float = 10.0
    ping_timeout_s: float = 2.0
    failures: int = 3
    stop_s: float = 30.0
    give_up_after: int = 6
    check: Mapping[str, str] | None = None
    accepts: tuple[str, ...] = ()
    max_body: int = 6 * 1024 * 1024
    purpose: str = "serve"

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ServingSpec:
        """Raises KeyError, TypeError or ValueError where it is not usable; unknown names are passed
        over.
        """
        known = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        for name in ("command", "accepts"):
            known[name] = tuple(str(item) for item in known.get(name) or ())
        known["environment"] = {
            str(k): str(v) for k, v in dict(known.get("environment") or {}).items()
        }
        return cls(**known)


@dataclass(frozen=True)
class Launch:
    """One start of one replica. `model_dir` is what becomes /opt/ml/model (None: the image's own),
    `log` the file that takes its output, `gpus` the indexes it may see, `environment` includes the
    secrets. `host`, `port`: where it has to be reachable; a container's 8080 is published there.
    """

    spec: ServingSpec
    number: int
    folder: Path
    model_dir: Path | None
    log: Path
    host: str
    port: int
    gpus: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Handle:
    """What finds a launch again after a restart of the agent; kept in the journal as JSON."""

    kind: str
    reference: str  # a container's id, or "pid:start time:boot"
    port: int

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "reference": self.reference, "port": self.port}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Handle:
        return cls(str(document["kind"]), str(document["reference"]), int(document["port"]))


@dataclass(frozen=True)
class Status:
    """`alive` None: the runtime gave no answer, nothing may be concluded. Use is of the whole
    launch: CPU in seconds since its start, memory in MiB now.
    """

    alive: bool | None
    code: int | None = None
    signal: int | None = None
    out_of_memory: bool = False
    cpu_s: float | None = None
    memory_mib: float | None = None
    detail: str = ""


class Runtime(ABC):
    """`kind`: "podman", "docker" or "process"; `remedy`: how one comes by it."""

    kind: str
    remedy: str

    @abstractmethod
    def about(self) -> dict[str, Any] | None:
        """Return {"version", "rootless", "gpus", "limits"}, None where it cannot be used here.

        `gpus`: whether models can be given GPUs; `limits`: what is enforced of "cpu", "memory" and
        "pids".
        """

    @abstractmethod
    def prepare(self, spec: ServingSpec, folder: Path) -> dict[str, Any]:
        """Make image or folder and its environment ready; doing it again is quick. Return what is
        worth showing, such as {"image_id", "size"}. Raises RuntimeFailed.
        """

    @abstractmethod
    def start(self, launch: Launch) -> Handle:
        """Start it; one that runs already under this replica's name and number is taken over.
        Raises RuntimeFailed.
        """

    @abstractmethod
    def find(self, replica: str, number: int) -> Handle | None:
        """Return the replica's launch of that number if the runtime knows it, however it stands."""

    @abstractmethod
    def status(self, handles: Sequence[Handle]) -> Mapping[str, Status]:
        """Return the status of each by reference, with one call where that is possible."""

    @abstractmethod
    def signal(self, handle: Handle, *, kill: bool = False) -> None:
        """Send SIGTERM, or SIGKILL to all that it started. One that is gone is no error."""

    @abstractmethod
    def remove(self, handle: Handle) -> None:
        """Delete what is left of an ended launch (a container). One that is gone is no error."""

    @abstractmethod
    def strays(self, known: Sequence[str]) -> list[Handle]:
        """Launches that this agent once made whose replica's id is not among `known`."""
