"""The program of a run in several steps: starts pw.x on one input after the other.

The plug-in copies this text into the run's folder; it imports nothing of the portal. The arguments
are the command of pw.x. It ends with the exit code of the first step that failed.
"""

from __future__ import annotations

import signal
import subprocess
import sys

STEPS = ("scf.in", "bands.in")


def main(command: list[str]) -> int:
    for name in STEPS:
        # No shell, and the command is the site's own setting.
        step = subprocess.Popen([*command, "-in", name])  # noqa: S603
        signal.signal(signal.SIGTERM, lambda *_, step=step: step.terminate())
        code = step.wait()
        if code:
            return code if code > 0 else 128 - code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
