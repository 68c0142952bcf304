"""`labportal-node --queue gpu-1 …`: the whole of a node's command line.

Exit codes as of the agent: 0 done, 1 a check failed, 2 wrong settings or arguments, 75 another
agent holds the work folder.
"""

from __future__ import annotations

import argparse
import getpass
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from clusters.agent import __version__, checks, logs, service
from clusters.agent.agent import Agent, lock
from clusters.agent.cli import FAILED, HELD, WRONG
from clusters.agent.client import Address
from clusters.agent.config import BadConfig, Config
from clusters.agent.journal import Journal
from clusters.agent.workspace import Workspace
from clusters.node import settings as node_settings
from clusters.node.carriage import QueueCarriage
from clusters.node.switchboard import Switchboard
from clusters.node.worker import NodeWorker

log = logging.getLogger(__name__)

WRITTEN = ("broker", "url", "key", "ca_file", "work", "slots", "cores", "gpus")
PROGRAM = "labportal-node"
PROCESS_ID = 8  # characters of the agent's id that name the queue of a process


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _do(options)
    except BadConfig as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return WRONG
    except OSError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Runs what the portal sends to this machine through a broker. What is said "
        "once is kept in a file; from then on --queue is enough.",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.add_argument("--queue", required=True, metavar="NAME", help="the cluster's name")
    parser.add_argument("--broker", metavar="URL", help="redis://, rediss://, amqp:// or amqps://")
    parser.add_argument("--url", help="the portal's address, over which files travel")
    parser.add_argument("--key", help="the cluster's key; - asks for it")
    parser.add_argument("--ca-file", help="certificates by which the portal's address is trusted")
    parser.add_argument("--work", help="a folder with room for the runs")
    parser.add_argument("--slots", help="programs at once (default: the cores)")
    parser.add_argument("--cores", help="cores to give out (default: all)")
    parser.add_argument("--gpus", help="auto (the default), none, or indexes such as 0,1")
    parser.add_argument("--config", type=Path, metavar="FILE", help="where the settings are kept")
    parser.add_argument("--quiet", action="store_true", help="log to the file alone")
    does = parser.add_mutually_exclusive_group()
    does.add_argument("--check", action="store_true", help="say whether everything is in place")
    does.add_argument("--install-service", action="store_true", help="write a systemd user unit")
    return parser


def _do(options: argparse.Namespace) -> int:
    name = node_settings.check_name(options.queue)
    path = (options.config or node_settings.path_of(name)).absolute()
    given = {word: value for word in WRITTEN if (value := getattr(options, word)) is not None}
    if given or not path.exists():
        _write(path, name, given)
    settings = node_settings.load(path, name)
    if options.check:
        return _check(settings, name)
    command = _command(path, name)
    if options.install_service:
        unit = service.install(
            command, name=f"{PROGRAM}-{name}", description=f"Labportal node {name}"
        )
        print(service.installed(unit))
        return 0
    if given:  # begin anew without them, so that no list of processes shows a secret
        sys.stdout.flush()
        os.execv(command[0], [*command, *(["--quiet"] if options.quiet else [])])  # noqa: S606
    return run(settings, name, console=not options.quiet)


def _write(path: Path, name: str, given: dict[str, str]) -> None:
    """Raises BadConfig, without having written anything."""
    if not path.exists():
        for word in ("broker", "work"):
            if word not in given:
                raise BadConfig(f"--{word} is missing; the cluster's page shows the whole command")
    if given.get("key", "" if path.exists() else "-") == "-":
        asks = sys.stdin is not None and sys.stdin.isatty()
        given["key"] = getpass.getpass("Key: ") if asks else (sys.stdin.readline() or "").strip()
    if "work" in given:
        given["work"] = str(Path(given["work"]).expanduser().absolute())
    before = path.read_bytes() if path.exists() else None
    node_settings.write(path, name, given)
    try:
        node_settings.load(path, name)
    except BadConfig:
        path.unlink() if before is None else path.write_bytes(before)
        raise


def _command(path: Path, name: str) -> list[str]:
    """The command line that starts this very node again."""
    program = Path(sys.argv[0])
    own = program.name == PROGRAM and program.exists()
    words = [str(program.absolute())] if own else [sys.executable, "-m", "clusters.node"]
    return [*words, "--queue", name, "--config", str(path)]


def _check(settings: Config, name: str) -> int:
    broker = settings.queue["broker"]
    try:
        NodeWorker(broker, name, "check", lambda _: None).check()
        reached = (True, f"broker {node_settings.bare(broker)} lets this node in")
    except OSError as error:
        reached = (False, f"broker {node_settings.bare(broker)}: {error}")
    no_url = (True, "no --url: runs that need or leave files cannot work here")
    portal = checks.portal(settings) if settings.url else no_url
    needed = [reached, portal, *checks.machine(settings)]
    more = [*checks.programs(settings), *checks.models(settings)]
    return 0 if checks.say(needed, more) else FAILED


def run(settings: Config, name: str, *, console: bool) -> int:
    """Work until SIGTERM; programs are left running and are found again by the next start."""
    held = lock(settings)
    if held is None:
        print(f"{PROGRAM}: another agent works in {settings.work}", file=sys.stderr)
        return HELD
    own_log = logs.set_up(settings.work, settings.log_level, console=console)
    for noisy in ("celery", "kombu", "amqp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    process = _process(settings)
    worker: NodeWorker | None = None
    board = Switchboard(
        secret=settings.key, node=name, process=process, publish=lambda e: worker.publish(e)
    )
    worker = NodeWorker(settings.queue["broker"], name, process, board.deliver)
    address = Address(settings.url, settings.key, settings.ca_file) if settings.url else None
    agent = Agent(settings, own_log=own_log, open_carriage=lambda: QueueCarriage(board, address))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    log.info("node %s takes from %s", name, node_settings.bare(settings.queue["broker"]))
    worker.start()
    agent.run()
    worker.stop()
    return 0


def _process(settings: Config) -> str:
    """What tells this node's queue of answers from that of another with the same key; it stays."""
    Workspace(settings.work).open()
    journal = Journal(settings.work)
    try:
        return journal.agent_id[:PROCESS_ID]
    finally:
        journal.close()
