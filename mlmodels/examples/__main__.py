"""python -m mlmodels.examples NAME FOLDER: write an example's folder, ready to build or to run."""

import argparse
from pathlib import Path

from mlmodels.examples.bundle import EXAMPLES, bundle


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mlmodels.examples", description=__doc__)
    parser.add_argument("name", choices=EXAMPLES)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    folder = bundle(options.name, options.folder)
    print(f"written: {folder}; podman build -t {options.name} {folder}")


if __name__ == "__main__":
    main()
