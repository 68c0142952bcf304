"""The systemd user unit that keeps an agent or a node running on a machine that has systemd."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

NAME = "labportal-agent"
# KillMode=process: programs outlive the agent and are found again when it returns.
UNIT = """\
[Unit]
Description={description}
After=network-online.target
Wants=network-online.target

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2 75
KillMode=process
TimeoutStopSec=15

[Install]
WantedBy=default.target
"""


def command(config: Path) -> list[str]:
    """Return the command line that starts this very agent."""
    program = Path(sys.argv[0]).absolute()
    if program.suffix == ".pyz":
        return [sys.executable, str(program), "--config", str(config), "run"]
    return [sys.executable, "-m", "clusters.agent", "--config", str(config), "run"]


def unit(command: Sequence[str], description: str) -> str:
    quoted = " ".join(shlex.quote(word).replace("%", "%%") for word in command)
    return UNIT.format(command=quoted, description=description.replace("%", "%%"))


def install(
    command: Sequence[str], *, name: str = NAME, description: str = "Labportal agent"
) -> Path:
    """Write the unit that runs a command and return its path."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    path = Path(base) / "systemd" / "user" / f"{name}.service"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(unit(command, description), encoding="utf-8")
    return path


def installed(path: Path) -> str:
    """Say how to start what was installed."""
    return (
        f"written: {path}\n"
        f"start it:     systemctl --user enable --now {path.name}\n"
        "and keep it when you sign out:     loginctl enable-linger"
    )
