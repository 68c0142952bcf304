"""`python -m clusters.node` does what `labportal-node` does."""

from __future__ import annotations

import sys

from clusters.node.cli import main

if __name__ == "__main__":
    sys.exit(main())
