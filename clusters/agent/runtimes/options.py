"""What a model's container is started with: its limits, its labels, its files and its variables.

The same for every engine; nothing here asks or starts one.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clusters.agent.runtimes import cgroup
from clusters.agent.runtimes.base import Launch, RuntimeFailed, ServingSpec

PORT = 8080  # inside, as the contract of the containers has it
MODEL = "/opt/ml/model"
LABEL = "labportal."
PIDS = 4096
SHARED_MIB = 64  # the least; torch hands batches over in /dev/shm
# What an image needs that starts as root and goes on as a user of its own; no more.
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID", "KILL")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# What means something to an engine's own client; such a name is never set for the client itself.
OF_CLIENT = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|TEMP|TMP|LANG(UAGE)?|TERM|NOTIFY_SOCKET|LISTEN_.*|"
    r"(LD|LC|XDG|GO|GODEBUG|SSL|DOCKER|CONTAINERS?|PODMAN|BUILDAH|STORAGE|REGISTRY|DBUS|SSH|_)_?.*|"
    r"(HTTPS?|NO|ALL|FTP)_PROXY",
    re.IGNORECASE | re.ASCII,
)


def options_of(launch: Launch, facts: Mapping[str, Any], agent: str) -> list[str]:
    """Return the options of `run`; `facts` are what the engine told of itself. Raises
    RuntimeFailed.
    """
    spec = launch.spec
    options = [
        f"--name=labportal-{agent[:8]}-{spec.replica}-{launch.number}",
        "--pull=never",
        f"--publish={_bracketed(launch.host)}:{launch.port}:{PORT}",
        "--cap-drop=ALL",
        *(f"--cap-add={name}" for name in CAPABILITIES),
        "--security-opt=no-new-privileges",
        f"--shm-size={max(spec.memory_mib // 2, SHARED_MIB)}m",
        f"--tmpfs=/tmp:rw,exec,nosuid,nodev,mode=1777,size={spec.memory_mib}m",
    ]
    options += [f"--label={name}={value}" for name, value in _labels(launch, agent).items()]
    if facts["network"]:
        options.append(f"--network={facts['network']}")
    if "memory" in facts["limits"]:
        options += [f"--memory={spec.memory_mib}m", f"--memory-swap={spec.memory_mib}m"]
    if "cpu" in facts["limits"]:
        options.append(f"--cpus={spec.cores}")
    if "pids" in facts["limits"]:
        options.append(f"--pids-limit={PIDS}")
    if spec.read_only_root:
        options += ["--read-only", "--tmpfs=/run:rw,nosuid,nodev", "--tmpfs=/var/tmp:rw,nosuid"]
    if launch.model_dir is not None:
        options.append(_mount(launch.model_dir, selinux=facts["selinux"]))
    return options


def _labels(launch: Launch, agent: str) -> dict[str, str]:
    values = {
        "agent": agent,
        "replica": launch.spec.replica,
        "launch": str(launch.number),
        "model": launch.spec.name,
        "port": str(launch.port),
        "log": str(launch.log),
        "memory": str(launch.spec.memory_mib),
        "oom-kills": str(cgroup.oom_kills() or 0),
    }
    return {LABEL + name: value for name, value in values.items()}


def _mount(folder: Path, *, selinux: bool) -> str:
    if any(sign in str(folder) for sign in ":,"):
        raise RuntimeFailed(
            f"Engines cannot mount {folder}, whose name holds a colon or a comma; "
            "give the agent another work folder."
        )
    if not folder.is_dir():  # an engine would make an empty one
        raise RuntimeFailed(f"The model's files are not at {folder} any more.", code="bad_files")
    return f"--volume={folder}:{MODEL}:ro{',z' if selinux else ''}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def check_variables(values: Mapping[str, str]) -> None:
    """Raises RuntimeFailed for what no environment bears."""
    for name, value in values.items():
        if not VARIABLE.fullmatch(name) or "\0" in value:
            raise RuntimeFailed(
                f"The variable {name[:60]!r} cannot be set; use letters, digits and _ in names "
                "and no NUL in values.",
                code="environment",
            )


def defaults_of(spec: ServingSpec) -> dict[str, str]:
    """Return what a model is told of its room where its own variables do not say otherwise: inside
    it sees the cores and the memory of the whole machine.
    """
    return {
        **dict.fromkeys(THREADS, str(spec.cores)),
        "SAGEMAKER_MODEL_SERVER_WORKERS": str(spec.cores),
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(-(-spec.max_body // 2**20)),
    }


@contextlib.contextmanager
def environment_of(launch: Launch) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield (options, variables of the engine's client), which hand a model's variables over
    without showing their values to other users of the machine, as arguments would.

    What the client itself would heed goes by a file, which knows no line breaks. Raises
    RuntimeFailed.
    """
    check_variables(launch.environment)
    values = {**defaults_of(launch.spec), **launch.environment}
    of_client = {name: value for name, value in values.items() if OF_CLIENT.fullmatch(name)}
    others = {name: value for name, value in values.items() if name not in of_client}
    options = [f"--env={name}" for name in others]
    if not of_client:
        yield options, others
        return
    path = launch.folder / "variables"
    try:
        _write(path, of_client)
        yield [*options, f"--env-file={path}"], others
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _write(path: Path, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            raise RuntimeFailed(
                f"The variable {name} cannot hold several lines; give it another name.",
                code="environment",
            )
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as stream:
        stream.writelines(f"{name}={value}\n" for name, value in values.items())
