"""What every command shares: the options --portal and --json, the connection, errors with their
exit codes, and how things are printed.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from labportal.client.errors import INTERRUPTED, ClientError

if TYPE_CHECKING:
    from rich.console import Console

    from labportal.client.portal import Portal

STYLES = {
    "draft": "bright_black",
    "in_review": "magenta",
    "queued": "yellow",
    "waiting": "yellow",
    "assigned": "yellow",
    "running": "blue",
    "valid": "green",
    "not_valid": "dark_orange",
    "failed": "red",
    "cancelled": "bright_black",
    "skipped": "bright_black",
}


class App:
    """One call of the command line."""

    def __init__(self, profile: str, as_json: bool) -> None:
        self.profile = profile
        self.as_json = as_json
        self._portal: Portal | None = None
        self._console: Console | None = None

    @property
    def portal(self) -> Portal:
        if self._portal is None:
            from labportal.client.portal import Portal

            self._portal = Portal(self.profile)
        return self._portal

    @property
    def console(self) -> Console:
        """Standard output. Without a terminal: no colour, and lines of any length."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(highlight=False, soft_wrap=True, file=sys.stdout)
        return self._console

    @property
    def progress_console(self) -> Console:
        from rich.console import Console

        return Console(stderr=True, highlight=False)

    def print(self, document: Any, words: Callable[[], Any]) -> None:
        """Print the document as JSON where that is asked for, else what `words` prints."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))
        else:
            words()

    def say(self, text: str) -> None:
        """Tell a person how it goes; nothing that a script would read."""
        if not self.as_json:
            click.echo(text, err=True)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[Any]], empty: str = "") -> None:
        """Columns on a terminal, tabs between the values elsewhere; numbers to the right."""
        rows = [[cell(value) for value in row] for row in rows]
        if not rows:
            self.say(empty or "Nothing found.")
            return
        if not self.console.is_terminal:
            click.echo("\t".join(heads))
            for row in rows:
                click.echo("\t".join(row))
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for i, head in enumerate(heads):
            right = all(_is_number(row[i]) for row in rows)
            table.add_column(head, justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(text, STYLES.get(text.replace(" ", "_"), "")) for text in row))
        self.console.print(table, soft_wrap=False)


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True


def cell(value: Any) -> str:
    """A value as one line of text; no control characters reach the terminal."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else " " for sign in str(value))


def state_words(state: str) -> str:
    return state.replace("_", " ")


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --portal and --json, and turn errors into words and exit codes."""

    @click.option(
        "--portal", "profile", default="", metavar="NAME", help="Which portal; see: portals."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
    @functools.wraps(function)
    def command(*args: Any, profile: str, as_json: bool, **options: Any) -> None:
        app = App(profile, as_json)
        try:
            code = function(app, *args, **options)
        except ClientError as error:
            complain(error, as_json=as_json)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except BrokenPipeError:  # `labportal list | head`
            sys.stderr.close()
            sys.exit(0)
        sys.exit(code or 0)

    return command


def complain(error: ClientError, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(error.to_json(), ensure_ascii=False), err=True)
        return
    said = " ".join(" ".join(texts) for texts in error.fields.values())
    if error.message != said:
        click.echo(f"labportal: {cell(error.message)}", err=True)
    else:
        click.echo("labportal: this was refused", err=True)
    for name, texts in error.fields.items():
        place = "" if name == "non_field_errors" else f"{name}: "
        click.echo(f"  {place}{cell(' '.join(texts))}", err=True)
    if error.remedy:
        click.echo(f"  {cell(error.remedy)}", err=True)
