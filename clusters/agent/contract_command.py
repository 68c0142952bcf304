"""The command `contract`: the contract test at the command line, for who makes a model server.

It tests a server that runs (--url) or one that it starts and ends itself (--command).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clusters.agent.contract import Subject, Terms, passed, run_contract

MIB = 1024 * 1024
PORT = "{port}"
TAIL = 4000  # bytes of a failed server's output that are shown
MARKS = {True: "ok    ", False: "FAILED", None: "-     "}
TYPES = {".json": "application/json", ".csv": "text/csv", ".npy": "application/x-npy"}


def add_to(commands: Any) -> None:
    """Add the command to the agent's parser."""
    parser = commands.add_parser(
        "contract",
        help="test whether a model server keeps the contract",
        description="Test whether a model server keeps the SageMaker container contract.",
    )
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--url", help="a server that runs, such as http://127.0.0.1:8080")
    target.add_argument(
        "--command",
        nargs=argparse.REMAINDER,
        metavar="WORD",
        help="what starts a server, as the last option; serve is added, {port} replaced: "
        "podman run --rm -p 127.0.0.1:{port}:8080 IMAGE",
    )
    parser.add_argument("--folder", type=Path, help="where the command is started")
    parser.add_argument("--example", type=Path, help="a file with a body that it has to answer")
    parser.add_argument(
        "--accepts",
        default="",
        metavar="TYPES",
        help="its content types, by commas, the example's first; "
        "default: what the example's file name says",
    )
    parser.add_argument("--startup-s", type=float, default=Terms.startup_s)
    parser.add_argument("--max-body-mib", type=int, default=Terms.max_body // MIB)
    parser.set_defaults(do=go)


def go(options: argparse.Namespace) -> int:
    """Print a line for each check; return 0 where the contract is kept."""
    terms = _terms(options)
    if options.url:
        address = urlsplit(options.url)
        if address.scheme != "http" or not address.hostname:
            print(f"--url {options.url}: give it as http://127.0.0.1:8080", file=sys.stderr)
            return 2
        checks = run_contract(Subject(address.hostname, address.port or 80), terms, told=_tell)
    else:
        if not options.command:
            print("--command: name what starts the server", file=sys.stderr)
            return 2
        with started(options.command, folder=options.folder, max_body=terms.max_body) as subject:
            checks = run_contract(subject, terms, told=_tell)
    good = passed(checks)
    print("contract passed" if good else "contract not passed")
    return 0 if good else 1


@contextlib.contextmanager
def started(
    command: Sequence[str], *, folder: Path | None = None, max_body: int = Terms.max_body
) -> Iterator[Subject]:
    """Start a server on a free port with the argument serve; nothing of it is left afterwards."""
    port = _free_port()
    words = [word.replace(PORT, str(port)) for word in command]
    variables = {
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "PORT": str(port),
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(max_body // MIB),
    }
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: S603 - what the user named
            [*words, "serve"],
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield Subject("127.0.0.1", port, lambda: _ended(process), process.terminate)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
            if code not in (0, -signal.SIGTERM):
                _tell_output(output)


def _ended(process: subprocess.Popen[bytes]) -> str | None:
    code = process.poll()
    if code is None:
        return None
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _terms(options: argparse.Namespace) -> Terms:
    accepts = [kind.strip() for kind in options.accepts.split(",") if kind.strip()]
    example = None
    if options.example is not None:
        guess = TYPES.get(options.example.suffix.lower(), "application/octet-stream")
        accepts = accepts or [guess]
        example = (accepts[0], options.example.read_bytes())
    return Terms(
        startup_s=options.startup_s,
        max_body=options.max_body_mib * MIB,
        accepts=tuple(accepts),
        example=example,
    )


def _tell(check: dict[str, Any]) -> None:
    print(f"{MARKS[check['ok']]}  {check['title']}: {check['detail']}", flush=True)


def _tell_output(output: Any) -> None:
    output.seek(max(0, output.seek(0, os.SEEK_END) - TAIL))
    text = output.read().decode(errors="replace").strip()
    if text:
        print(f"--- what it wrote last ---\n{text}", file=sys.stderr)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
