"""What a model that runs as a process is started with: its program, and its variables."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from clusters.agent.runtimes.base import Launch, RuntimeFailed, ServingSpec
from clusters.agent.runtimes.options import check_variables, defaults_of
from clusters.agent.runtimes.session import MARK

SERVE = "serve"
PYTHON = ("python", "python3")
# What a model gets of the agent's own variables; others may hold what is not for it.
KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "LD_LIBRARY_PATH"),
    *("CUDA_HOME", "CUDA_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)


def program_of(spec: ServingSpec, folder: Path, made: Path | None) -> list[str]:
    """Return the command with its program found. Raises RuntimeFailed."""
    words = list(spec.command) or [f"./{SERVE}", SERVE]
    first = words[0]
    if first in PYTHON:
        return [str(_interpreter(made)), *words[1:]]
    named = shutil.which(folder / first) if "/" in first else None
    found = named or shutil.which(first, path=_path(made))
    if found is None:
        raise RuntimeFailed(
            f"There is no program {first[:100]!r} that could be started for {folder}; name one in "
            "the model's command, such as python serve.py, or put an executable `serve` there.",
            code="folder_refused",
        )
    return [found, *words[1:]]


def _interpreter(made: Path | None) -> Path:
    """Without an environment of its own a model runs with the agent's Python."""
    return made / "bin" / "python" if made else Path(sys.executable)


def _path(made: Path | None) -> str:
    return f"{_interpreter(made).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def variables_of(launch: Launch, made: Path | None, mark: str) -> dict[str, str]:
    check_variables(launch.environment)
    found = {name: os.environ[name] for name in KEPT if name in os.environ}
    found.update(
        {"PATH": _path(made), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        **defaults_of(launch.spec),
    )
    found.update(launch.environment)
    if launch.model_dir is not None:
        found.update(SM_MODEL_DIR=str(launch.model_dir), MODEL_DIR=str(launch.model_dir))
    if made is not None:
        found["VIRTUAL_ENV"] = str(made)
    return {
        **found,
        "SAGEMAKER_BIND_TO_PORT": str(launch.port),
        "PORT": str(launch.port),
        "MODEL_SERVER_HOST": launch.host,
        MARK: mark,
    }
