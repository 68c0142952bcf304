"""The agent's command line: run, once, exchange, check, contract, configure, install-service.

Exit codes: 0 done, 1 the portal did not answer or a check failed, 2 wrong settings or arguments, 75
another agent holds the work folder.
"""

from __future__ import annotations

import argparse
import getpass
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from clusters.agent import (
    __version__,
    checks,
    config,
    contract_command,
    guarding,
    logs,
    service,
    updating,
    visit,
)
from clusters.agent.agent import Agent, lock
from clusters.agent.config import BadConfig, Config
from clusters.agent.schedulers.choice import dialect_of
from clusters.agent.schedulers.options import Options

FAILED, WRONG, HELD = 1, 2, 75


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return options.do(options)
    except BadConfig as error:
        print(f"labportal-agent: {error}", file=sys.stderr)
        return WRONG
    except OSError as error:
        print(f"labportal-agent: {error}", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="labportal-agent", description="Labportal's agent")
    parser.add_argument("--version", action="version", version=f"labportal-agent {__version__}")
    parser.add_argument("--config", type=Path, default=config.default_path(), metavar="FILE")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="work until stopped")
    run.add_argument("--quiet", action="store_true", help="log to the file alone")
    run.set_defaults(do=_run)
    once = commands.add_parser("once", help="exchange once, do what can be done, and leave")
    once.set_defaults(do=_once)
    exchange = commands.add_parser(
        "exchange", help="speak to a portal that signs in by SSH, over standard input and output"
    )
    exchange.set_defaults(do=_exchange)
    check = commands.add_parser("check", help="say whether everything is in place")
    check.set_defaults(do=_check)
    contract_command.add_to(commands)
    install = commands.add_parser("install-service", help="write a systemd user unit")
    install.set_defaults(do=_install_service)
    configure = commands.add_parser("configure", help="write the settings")
    configure.add_argument("--url", required=True, help="the portal's address")
    configure.add_argument(
        "--key", default="-", help="the cluster's key; - (the default) asks for it"
    )
    configure.add_argument("--work", required=True, help="a folder with room for the runs")
    configure.add_argument("--slots", type=int, help="programs at once (default: the cores)")
    configure.add_argument(
        "--scheduler", choices=config.SCHEDULERS, default="", help="how programs run here"
    )
    configure.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the scheduler, such as partition=long or queue=workq",
    )
    configure.set_defaults(do=_configure)
    guard = commands.add_parser("guard-update")  # started by the agent itself
    guard.add_argument("--pid", type=int, required=True)
    guard.add_argument("--trial-s", type=float, default=guarding.TRIAL_S)
    guard.set_defaults(do=_guard_update)
    return parser


def _run(options: argparse.Namespace) -> int:
    settings = _of_https(config.load(options.config))
    held = lock(settings)
    if held is None:
        return _already_running(settings)
    own_log = logs.set_up(settings.work, settings.log_level, console=not options.quiet)
    agent = Agent(settings, own_log=own_log)

    def end(*_: object) -> None:
        agent.loop.post(agent.updater.forget)
        agent.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    agent.run()
    if agent.updater.fetched is not None:
        agent.updater.change(options.config, held)
    return 0


def _guard_update(options: argparse.Namespace) -> int:
    marker = config.load(options.config).work / updating.MARKER
    return guarding.go(marker, options.pid, trial_s=options.trial_s)


def _of_https(settings: Config) -> Config:
    """Raises BadConfig where the portal signs in and no agent may stay."""
    if settings.carrier != config.HTTPS:
        raise BadConfig("the portal signs in to this cluster and starts the agent by itself")
    return settings


def _once(options: argparse.Namespace) -> int:
    settings = _of_https(config.load(options.config))
    held = lock(settings)
    if held is None:
        return _already_running(settings)
    own_log = logs.set_up(settings.work, settings.log_level, console=False)
    answered = Agent(settings, own_log=own_log).run_once()
    return 0 if answered else FAILED


def _exchange(options: argparse.Namespace) -> int:
    return visit.pay(options.config)


def _already_running(settings: Config) -> int:
    print(f"labportal-agent: another agent works in {settings.work}", file=sys.stderr)
    return HELD


def _configure(options: argparse.Namespace) -> int:
    key = options.key
    if key == "-":
        key = getpass.getpass("Key: ") if sys.stdin.isatty() else sys.stdin.readline()
    slots = options.slots or config.available_cores()
    work = str(Path(options.work).expanduser().absolute())
    told = {name: value for name, _, value in (word.partition("=") for word in options.set)}
    try:
        Options.read(told)
        config.write(
            options.config,
            url=options.url,
            key=key,
            work=work,
            slots=slots,
            scheduler=options.scheduler,
            options=told,
        )
    except ValueError as error:
        raise BadConfig(str(error)) from None
    dialect_of(config.load(options.config))
    print(f"written: {options.config}")
    return 0


def _install_service(options: argparse.Namespace) -> int:
    config.load(options.config)
    print(service.installed(service.install(service.command(options.config.absolute()))))
    return 0


def _check(options: argparse.Namespace) -> int:
    """Print one line per thing that must be in place."""
    settings = config.load(options.config)
    signs_in = settings.carrier == config.SSH
    portal = (True, "the portal signs in") if signs_in else checks.portal(settings)
    more = [*checks.programs(settings), *checks.models(settings)]
    return 0 if checks.say([portal, *checks.machine(settings)], more) else FAILED
