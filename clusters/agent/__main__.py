"""`python -m clusters.agent` does what the agent file does."""

from __future__ import annotations

import sys

from clusters.agent.cli import main

if __name__ == "__main__":
    sys.exit(main())
