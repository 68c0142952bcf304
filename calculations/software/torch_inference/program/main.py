"""Entry of a run: `coordinate` in the run's folder, or `host` on each of several nodes."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from calculations.software.torch_inference.program import hosting
from calculations.software.torch_inference.program.execution import Execution
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.work import Site, read_work

RESULTS = "results.json"
FAILED = 3  # exit code: results.json names the problem


def main() -> int:
    parser = argparse.ArgumentParser(prog="torch_inference")
    commands = parser.add_subparsers(dest="command", required=True)
    coordinate = commands.add_parser("coordinate")
    for name in ("data-dir", "cache-dir", "launcher", "hosts", "address"):
        coordinate.add_argument(f"--{name}", default="")
    for name, default in (("nodes", 1), ("cores", 1), ("gpus", 0)):
        coordinate.add_argument(f"--{name}", type=int, default=default)
    commands.add_parser("host").add_argument("folder")
    options = parser.parse_args()
    return _host(Path(options.folder)) if options.command == "host" else _coordinate(options)


def _coordinate(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    site = Site(
        data_dir=options.data_dir,
        cache_dir=options.cache_dir,
        launcher=options.launcher,
        hosts=tuple(options.hosts.replace(",", " ").split()),
        address=options.address,
    )
    given = {
        "site": site,
        "nodes": options.nodes,
        "cores": options.cores,
        "gpus": options.gpus,
    }
    folder = Path.cwd()
    try:
        Execution(read_work(folder, given), folder).run()
    except Problem as problem:
        print(f"{problem.code}: {problem.message}", file=sys.stderr, flush=True)
        document = {"format": 1, "problem": problem.to_json()}
        (folder / RESULTS).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        return FAILED
    return 0


def _host(folder: Path) -> int:
    from calculations.software.torch_inference.program import host

    try:
        address, token = hosting.read_rendezvous(folder)
    except (OSError, ValueError) as error:
        print(f"this node finds no rendezvous: {error}", file=sys.stderr)
        return 1
    return host.main(address, token, hosting.local_number(os.environ))


if __name__ == "__main__":
    sys.exit(main())
