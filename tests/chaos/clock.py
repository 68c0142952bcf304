"""Starts an agent file with a clock that goes wrong by the seconds in a file, from then on.

python clock.py OFFSET_FILE AGENT_FILE ARGUMENTS…
"""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path

_true = time.time


def main() -> None:
    offset = Path(sys.argv[1])

    def wrong() -> float:
        return _true() + float(offset.read_text() or 0)

    time.time = wrong
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
