"""Runs models in containers by an engine's command line; what podman and docker do differently
stands in files of their own.

The engine keeps what must outlive the agent: labels name agent, replica and launch, so that a
restarted agent finds its containers again. No text passes through a shell.
"""

from __future__ import annotations

import contextlib
import json
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clusters.agent import procfs
from clusters.agent.commands import Answer, call
from clusters.agent.runtimes import cgroup
from clusters.agent.runtimes.base import (
    Handle,
    Launch,
    Runtime,
    RuntimeFailed,
    ServingSpec,
    Status,
)
from clusters.agent.runtimes.ends import Kills, signal_of
from clusters.agent.runtimes.images import check_image, is_local
from clusters.agent.runtimes.options import LABEL, environment_of, options_of

ASK_S, START_S, PULL_S = 30.0, 180.0, 3600.0
# What the engines say, in small letters.
GONE = ("no such container", "no such object", "no container with")
NOT_RUNNING = ("is not running", "only kill running")
NO_IMAGE = ("no such image", "image not known", "failed to find image")
REFUSED = ("unauthorized", "denied", "authentication required")
NO_GPU = ("cdi device", "could not select device driver", "nvidia-container")
NO_PROGRAM = ('exec: "', "executable file", "exec format error", "attempted to invoke a command")
PORT_TAKEN = ("address already in use", "port is already allocated")
PREFIX = re.compile(r"^(docker: )?(Error( response from daemon)?: )?")


class Engine(Runtime):
    """One engine of this machine. `agent` tells its containers from those of other agents."""

    program: str

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self._facts: dict[str, Any] | None = None
        self._kills = Kills()
        self._greedy: set[str] = set()  # ended for their use of memory

    # What the engines do differently.

    @abstractmethod
    def facts(self) -> dict[str, Any] | None:
        """Ask the engine for {"version", "rootless", "gpus", "selinux", "limits", "network"}."""

    @abstractmethod
    def gpu_options(self, gpus: Sequence[int]) -> list[str]:
        """Return the options that let a container see these GPUs alone."""

    @abstractmethod
    def run(self, options: Sequence[str], launch: Launch, environment: Mapping[str, str]) -> Answer:
        """Run `run --detach` with these options, the output going to the launch's log."""

    @abstractmethod
    def follow(self, identity: str, log: Path, *, running: bool) -> None:
        """See to it that the output of a container reaches its log, also after a restart of the
        agent. Called again and again.
        """

    # The runtime.

    def about(self) -> dict[str, Any] | None:
        self._facts = self.facts()
        if self._facts is None:
            return None
        return {name: self._facts[name] for name in ("version", "rootless", "gpus", "limits")}

    def prepare(self, spec: ServingSpec, folder: Path) -> dict[str, Any]:
        self._known_facts(spec.gpus)
        image = check_image(spec.image)
        found = self._image(image)
        if found is None:
            self._pull(image)
            found = self._image(image)
        if found is None:
            raise RuntimeFailed(
                f"The image {image} was pulled and is not there.", code="image_missing"
            )
        return found

    def start(self, launch: Launch) -> Handle:
        facts = self._known_facts(len(launch.gpus))
        spec = launch.spec
        image = check_image(spec.image)
        for identity, document in self._of_replica(spec.replica).items():
            if _number(document) == launch.number and _lives(document["State"]):
                return self._handle(identity, document)
            self._delete(identity)  # of an earlier launch, or one that was never begun
        note = launch.folder / "container-id"
        with contextlib.suppress(FileNotFoundError):
            note.unlink()
        options = [*options_of(launch, facts, self.agent), f"--cidfile={note}"]
        if launch.gpus:
            options += self.gpu_options(launch.gpus)
        with environment_of(launch) as (variables, environment):
            words = [*options, *variables, image, *(spec.command or ("serve",))]
            answer = self.run(words, launch, environment)
        identity = _read(note)
        if not answer.good or not identity:
            if identity:
                self._delete(identity)
            raise _not_started(self.kind, answer, launch)
        self.follow(identity, launch.log, running=True)
        return Handle(self.kind, identity, launch.port)

    def find(self, replica: str, number: int) -> Handle | None:
        for identity, document in self._of_replica(replica).items():
            if _number(document) == number:
                return self._handle(identity, document)
        return None

    def status(self, handles: Sequence[Handle]) -> Mapping[str, Status]:
        if not handles:
            return {}
        before = cgroup.oom_kills()
        documents, answer = self._inspect([handle.reference for handle in handles])
        kills = (before, cgroup.oom_kills())
        gone = _says(answer, GONE)
        found = {}
        for handle in handles:
            identity = handle.reference
            if identity in documents:
                found[identity] = self._status(identity, documents[identity], kills)
            elif gone:
                found[identity] = Status(False, detail="The container is not there any more.")
            else:
                found[identity] = Status(None, detail=f"{self.kind} gave no answer: {answer.words}")
        return found

    def signal(self, handle: Handle, *, kill: bool = False) -> None:
        if kill:
            self._kills.by_us(handle.reference)
        name = "KILL" if kill else "TERM"
        answer = self._call("kill", f"--signal={name}", handle.reference)
        if not answer.good and not _says(answer, (*GONE, *NOT_RUNNING)):
            raise RuntimeFailed(f"{self.kind} could not send SIG{name}: {answer.words}")

    def remove(self, handle: Handle) -> None:
        self._delete(handle.reference)
        self._kills.forget(handle.reference)
        self._greedy.discard(handle.reference)

    def strays(self, known: Sequence[str]) -> list[Handle]:
        return [
            self._handle(identity, document)
            for identity, document in self._labelled(f"{LABEL}agent={self.agent}").items()
            if _labels(document).get(f"{LABEL}replica") not in known
        ]

    # Images.

    def _image(self, image: str) -> dict[str, Any] | None:
        answer = self._call("image", "inspect", image)
        if not answer.good and not _says(answer, NO_IMAGE):
            raise RuntimeFailed(f"{self.kind} gave no answer: {answer.words}")
        if not answer.good:
            return None
        documents = _json(answer.out) or [{}]
        return {
            "image": image,
            "image_id": str(documents[0].get("Id", "")).replace("sha256:", ""),
            "size": documents[0].get("Size"),
        }

    def _pull(self, image: str) -> None:
        if is_local(image):
            raise RuntimeFailed(
                f"The image {image} is not on this machine, and names under localhost/ are in no "
                f"registry; build or load it here, or name one that a registry has.",
                code="image_missing",
            )
        answer = self._call("pull", "--quiet", image, timeout_s=PULL_S)
        if answer.good:
            return
        words = _last_line(answer)
        if _says(answer, REFUSED):
            raise RuntimeFailed(
                f"The registry does not hand out {image}: {words}. Sign in on the node by "
                f"`{self.program} login`, or look whether the name is right.",
                code="image_refused",
            )
        raise RuntimeFailed(
            f"The image {image} cannot be had: {words}. Look whether name and tag are right and "
            "whether the node reaches the registry.",
            code="image_missing",
        )

    # Looking.

    def _status(
        self, identity: str, document: Mapping[str, Any], kills: tuple[int | None, int | None]
    ) -> Status:
        """`kills`: the kernel's count before and after the engine was asked."""
        state, labels = document["State"], _labels(document)
        if labels.get(f"{LABEL}log"):
            self.follow(identity, Path(labels[f"{LABEL}log"]), running=_lives(state))
        if _lives(state):
            pid = int(state.get("Pid") or 0)
            cpu, memory = self._usage(identity, pid, labels)
            if _runs(pid):
                self._kills.note(identity, kills[0])
            return Status(True, cpu_s=cpu, memory_mib=memory)
        code = state.get("ExitCode")
        code = code if isinstance(code, int) else None
        first = _digits(labels.get(f"{LABEL}oom-kills"))
        by_kernel = self._kills.for_memory(identity, code, now=kills[1], first=first)
        return Status(
            False,
            code=code,
            signal=signal_of(code),
            out_of_memory=bool(state.get("OOMKilled")) or by_kernel or identity in self._greedy,
            detail=str(state.get("Error") or "")[:500],
        )

    def _usage(
        self, identity: str, pid: int, labels: Mapping[str, str]
    ) -> tuple[float | None, float | None]:
        """Return its use; who takes more memory than it asked for is ended, where the engine has no
        means to hold it.
        """
        cpu, memory = cgroup.usage(pid, identity)
        if memory is None and pid:
            cpu, memory = cgroup.namespace_usage(pid)
        limit, held = _digits(labels.get(f"{LABEL}memory")), (self._facts or {}).get("limits")
        if held is not None and "memory" not in held and limit and (memory or 0) > limit:
            self._greedy.add(identity)
            self._call("kill", "--signal=KILL", identity)
        return cpu, memory

    def _of_replica(self, replica: str) -> dict[str, dict[str, Any]]:
        return {
            identity: document
            for identity, document in self._labelled(f"{LABEL}replica={replica}").items()
            if _labels(document).get(f"{LABEL}agent") == self.agent
        }

    def _labelled(self, label: str) -> dict[str, dict[str, Any]]:
        """Return what the engine knows of containers by a label. Raises RuntimeFailed."""
        answer = self._call("ps", "--all", "--quiet", "--no-trunc", f"--filter=label={label}")
        if not answer.good:
            raise RuntimeFailed(f"{self.kind} gave no answer: {answer.words}")
        documents, _ = self._inspect(answer.out.split())
        return documents

    def _inspect(self, identities: Sequence[str]) -> tuple[dict[str, dict[str, Any]], Answer]:
        """Return what is known by id; one that is gone does not hide the others."""
        if not identities:
            return {}, Answer(0, "")
        answer = self._call("container", "inspect", *identities)
        documents = _json(answer.out) if answer.code is not None else None
        return {document["Id"]: document for document in documents or []}, answer

    def _handle(self, identity: str, document: Mapping[str, Any]) -> Handle:
        return Handle(self.kind, identity, _digits(_labels(document).get(f"{LABEL}port")))

    def _known_facts(self, gpus: int) -> dict[str, Any]:
        facts = self._facts or self.facts()
        if facts is None:
            raise RuntimeFailed(
                f"{self.program} cannot be used on this machine; {self.remedy}.", code="no_engine"
            )
        self._facts = facts
        if gpus and not facts["gpus"]:
            raise RuntimeFailed(
                "The model needs a GPU, and containers get none on this machine: "
                "the node needs an NVIDIA GPU and the NVIDIA container toolkit.",
                code="no_gpu",
            )
        return facts

    def _delete(self, identity: str) -> None:
        answer = self._call("rm", "--force", "--volumes", identity, timeout_s=START_S)
        if not answer.good and not _says(answer, GONE):
            raise RuntimeFailed(f"{self.kind} could not delete a container: {answer.words}")

    def _call(self, *arguments: str, timeout_s: float = ASK_S) -> Answer:
        return call([self.program, *arguments], timeout_s=timeout_s)


def _not_started(kind: str, answer: Answer, launch: Launch) -> RuntimeFailed:
    """Say why no container runs, from the engine's words."""
    words = _last_line(answer)
    if _says(answer, NO_GPU):
        return RuntimeFailed(
            f"The node cannot give the model its GPU: {words}. Write the list of its GPUs by "
            "`nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`, and start it again.",
            code="no_gpu",
        )
    if _says(answer, PORT_TAKEN):
        return RuntimeFailed(
            f"Port {launch.port} of {launch.host} is taken: {words}.", code="port_taken"
        )
    if _says(answer, NO_IMAGE):
        return RuntimeFailed(
            f"The image {launch.spec.image} is not on the node any more.", code="image_missing"
        )
    if _says(answer, NO_PROGRAM):
        return RuntimeFailed(
            f"The image {launch.spec.image} has no program that can be started here: {words}. "
            "Look at its entry point, and for which processor it was built.",
            code="image_refused",
        )
    return RuntimeFailed(f"{kind} did not start the model: {words}")


def _says(answer: Answer, words: Sequence[str]) -> bool:
    said = answer.err.lower()
    return any(word in said for word in words)


def _last_line(answer: Answer) -> str:
    """Return what an engine said last; its tries before that are no news."""
    lines = [line.strip() for line in answer.err.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("See '")]
    return PREFIX.sub("", (lines[-1] if lines else answer.words)[:500]).rstrip(".")


def _labels(document: Mapping[str, Any]) -> Mapping[str, str]:
    return (document.get("Config") or {}).get("Labels") or {}


def _number(document: Mapping[str, Any]) -> int:
    return _digits(_labels(document).get(f"{LABEL}launch"))


def _lives(state: Mapping[str, Any]) -> bool:
    """Whether its processes are there, be they held or about to end."""
    return bool(state.get("Running")) or state.get("Status") in ("paused", "stopping")


def _runs(pid: int) -> bool:
    """Whether the kernel says so too; an engine hears late of a process that was killed."""
    stat = procfs.read_stat(pid)
    return stat is not None and stat.state != procfs.ZOMBIE


def _json(text: str) -> list[dict[str, Any]] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _digits(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
