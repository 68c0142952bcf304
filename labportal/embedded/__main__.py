"""Command line: python -m labportal.embedded start|stop|urls [folder]."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from labportal.embedded import DEFAULT_HOME, start, stop


def main(arguments: Sequence[str]) -> int:
    verb = arguments[0] if arguments else ""
    home = Path(arguments[1]).absolute() if len(arguments) > 1 else DEFAULT_HOME
    if verb == "start":
        start(home)
        print(f"PostgreSQL and Redis are running; their data are in {home}")
    elif verb == "stop":
        stop(home)
    elif verb == "urls":
        for name, value in start(home).environment().items():
            print(f"export {name}='{value}'")
    elif verb == "guard":
        sys.stdin.buffer.read()
        stop(home)
        shutil.rmtree(home, ignore_errors=True)
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
