"""The systemd user unit that keeps an agent running on a machine that has systemd."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

UNIT_NAME = "labportal-agent.service"
# KillMode=process: programs outlive the agent and are found again when it returns.
UNIT = """\
[Unit]
Description=Labportal agent
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


def unit(config: Path) -> str:
    quoted = " ".join(shlex.quote(word).replace("%", "%%") for word in command(config))
    return UNIT.format(command=quoted)


def install(config: Path) -> Path:
    """Write the unit and return its path."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    path = Path(base) / "systemd" / "user" / UNIT_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(unit(config), encoding="utf-8")
    return path
