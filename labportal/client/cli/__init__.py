"""The command line `labportal`: scientists' and moderators' pages in a terminal.

Exit codes: 0 done (valid), 1 failed (not valid), 2 wrong use, 3 not signed in or not allowed,
4 not found, 5 not at this moment, 6 the portal does not answer.
"""

from __future__ import annotations

import importlib
import sys

import click

from labportal.client.errors import USAGE

EXTRA = ("httpx", "rich", "websockets")

# Which module holds which command: only that one is loaded.
COMMANDS = {
    "login": "account",
    "logout": "account",
    "whoami": "account",
    "portals": "account",
    "completion": "account",
    "submit": "submitting",
    "templates": "submitting",
    "software": "submitting",
    "list": "looking",
    "show": "looking",
    "results": "looking",
    "compare": "looking",
    "scaling": "scaling",
    "search": "looking",
    "analyses": "looking",
    "clusters": "clusters",
    "models": "models",
    "open": "looking",
    "watch": "following",
    "logs": "following",
    "fetch": "files",
    "export": "files",
    "cancel": "verbs",
    "retry": "verbs",
    "extend": "verbs",
    "duplicate": "verbs",
    "withdraw": "verbs",
    "delete": "verbs",
    "approve": "verbs",
    "send-back": "verbs",
    "priority": "verbs",
    "validate": "verbs",
    "retract": "verbs",
    "restore": "verbs",
    "keep": "verbs",
    "reanalyse": "verbs",
    "bulk": "verbs",
    "undo": "verbs",
    "structures": "structures",
    "pseudopotentials": "pseudopotentials",
}


class Commands(click.Group):
    """Knows the commands by name, in the order of work, and loads the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__name__}.{COMMANDS[cmd_name]}")
        return module.GROUP[cmd_name]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from labportal.client.words import version

        click.echo(f"labportal {version()}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Say it."
)
def program() -> None:
    """Run numerical calculations on the clusters of a lab's portal.

    Begin with: labportal login --url https://portal.example.org
    """


def main() -> None:
    """The entry point; where a part of the extra is not installed, it says how to get it."""
    try:
        program(prog_name="labportal")
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        click.echo(f"labportal: {error.name} is not installed", err=True)
        click.echo('  pip install "labportal[client]"', err=True)
        sys.exit(USAGE)
