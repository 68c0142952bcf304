"""Command line: `python -m bench lifecycle --n 500` and so on; JSON on standard output, progress on
standard error.
"""

from __future__ import annotations

import argparse
import json
import sys

from bench import (
    agents,
    array,
    exchange,
    export,
    inference,
    lifecycle,
    matrix_live,
    metrics,
    pages,
    parse,
    placement,
    proxy,
    ranks,
    records,
    results,
    search,
    sweep,
)

BENCHMARKS = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        lifecycle,
        array,
        agents,
        records,
        exchange,
        pages,
        parse,
        placement,
        export,
        results,
        search,
        sweep,
        matrix_live,
        metrics,
        inference,
        ranks,
        proxy,
    )
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench")
    commands = parser.add_subparsers(dest="name", required=True)
    for name, module in BENCHMARKS.items():
        lines = (module.__doc__ or "").strip().splitlines()
        module.arguments(commands.add_parser(name, help=lines[0]))
    options = parser.parse_args()
    json.dump(BENCHMARKS[options.name].run(options), sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
