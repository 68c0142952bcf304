"""Calls of models from a terminal: at once, or queued where they may take long."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from labportal.client.cli.base import App, cell, common, state_words

STDIN = "-"
HEADS = ["call", "state", "asked", "answer", "why"]


@click.command()
@click.argument("name")
@click.argument("file", default=STDIN, type=click.Path(allow_dash=True, exists=True))
@click.option("--body", "-b", help="The body itself, instead of a file.")
@click.option("--type", "content_type", default="", help="Content type; else by the file's name.")
@click.option("--accept", default="", help="The content type of the answer.")
@click.option("--version", "number", type=int, help="Its number; else the one that serves.")
@click.option("--subject", default="", help="Keep the answer beside a thing: structure:12.")
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="Write the answer there.")
@click.option("--later", is_flag=True, help="Queue it: it may take up to an hour.")
@click.option("--timeout", default=900, show_default=True, help="Of a queued call, in seconds.")
@click.option("--wait", is_flag=True, help="With --later: wait for the answer.")
@common
def invoke(app: App, name: str, later: bool, wait: bool, **given: Any) -> None:
    """Call a model with a file, with standard input, or with --body; print what it answers."""
    from labportal.client import invoking

    body, content_type = _asked(given)
    common_ = {"content_type": content_type, "accept": given["accept"], "version": given["number"]}
    if not later:
        subject = given["subject"]
        answer = invoking.invoke(app.portal, name, body, subject=subject, **common_)
        _write(app, answer, given["output"])
        return
    call = invoking.invoke_later(
        app.portal, name, body, timeout_s=given["timeout"], notify=not wait, **common_
    )
    if wait:
        _write(app, invoking.wait(app.portal, call), given["output"])
        return
    app.say(f"Queued. Its answer: labportal models calls {name} --fetch {call['id'][:8]}")
    app.print(call, lambda: click.echo(call["id"]))


@click.command()
@click.argument("name")
@click.option("--state", default="", help="queued, running, done, failed, cancelled")
@click.option("--limit", "-n", default=50, show_default=True, help="At most so many; 0 for all.")
@click.option("--fetch", default="", metavar="CALL", help="Print the answer of a call.")
@click.option("--cancel", default="", metavar="CALL", help="Let a call go.")
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="With --fetch: a file.")
@common
def calls(
    app: App, name: str, state: str, limit: int, fetch: str, cancel: str, output: str | None
) -> None:
    """List your calls of a model that were queued, fetch the answer of one, or cancel one."""
    from labportal.client import invoking

    filters = {"state": state} if state else {}
    if fetch:
        _write(app, invoking.wait(app.portal, _call(app, name, fetch)), output)
        return
    if cancel:
        found = _call(app, name, cancel)
        document = app.portal.call("model_async_call_cancel", name=name, call_id=found["id"])
        app.print(document, lambda: app.say(f"{found['id'][:8]}: {document['state']}"))
        return
    rows = list(app.portal.pages("model_async_calls", limit=limit, name=name, **filters))
    empty = f"None yet: labportal models invoke {name} --later"
    app.print(rows, lambda: app.table(HEADS, map(_row, rows), empty))


def _call(app: App, name: str, begin: str) -> dict[str, Any]:
    """The call of that id, or of the one whose id begins so."""
    from labportal.client.errors import NotFound

    for row in app.portal.pages("model_async_calls", name=name):
        if row["id"].startswith(begin):
            return dict(row)
    raise NotFound(f"You have no call of {name} that begins with {begin}.")


def _row(row: dict[str, Any]) -> list[Any]:
    answer = f"{row['result_type']}, {row['result_size']} bytes" if row["result"] else ""
    asked = row["created_at"][:19].replace("T", " ")
    return [row["id"][:8], state_words(row["state"]), asked, answer, row["why"]]


def _asked(given: dict[str, Any]) -> tuple[bytes, str]:
    """The body and its content type."""
    from labportal.client import invoking

    if given["body"] is not None:
        return given["body"].encode(), given["content_type"] or invoking.JSON
    if given["file"] == STDIN:
        return sys.stdin.buffer.read(), given["content_type"] or invoking.JSON
    file = Path(given["file"])
    return file.read_bytes(), given["content_type"] or invoking.type_of(file)


def _write(app: App, answer: Any, output: str | None) -> None:
    """To the file, or to standard output as it is; a terminal gets no control characters."""
    if output:
        Path(output).write_bytes(answer.content)
        app.say(f"{output}: {len(answer.content)} bytes, {answer.content_type}")
    elif not sys.stdout.isatty():
        sys.stdout.buffer.write(answer.content)
    elif isinstance(answer.value, bytes):
        app.say(f"{len(answer.content)} bytes of {answer.content_type}: write them with --output.")
    else:
        for line in answer.content.decode(errors="replace").splitlines():
            click.echo(cell(line))
