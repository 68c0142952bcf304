"""Models that answer calls: list, show, start, stop, deploy, what they print; invoking.py calls
them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from labportal.client.cli.base import App, cell, common, state_words
from labportal.client.cli.invoking import calls, invoke
from labportal.client.errors import NOT_VALID, VALID

FOLLOW_S = 1.0
PAGE = 500
ENDS = frozenset({"ready", "given_up", "stopped"})
SETTLED = frozenset({"stopped", "given_up"})


@click.group()
def models() -> None:
    """Trained models that answer calls."""


@models.command("list")
@click.option("--state", default="", help="ready, degraded, starting, stopped, given_up, …")
@click.option("--text", default="", help="Words of the name or the description.")
@click.option("--limit", "-n", default=50, show_default=True, help="At most so many; 0 for all.")
@common
def list_(app: App, limit: int, **filters: str) -> None:
    """List models: state, version, replicas, calls, when they last answered well."""
    given = {name: value for name, value in filters.items() if value}
    rows = list(app.portal.pages("model_list", limit=limit, **given))
    heads = ["name", "state", "version", "ready", "calls/min", "p95 ms", "answered"]
    empty = "None yet. Register one on the page Models."
    app.print(rows, lambda: app.table(heads, map(_row, rows), empty))


def _row(row: dict[str, Any]) -> list[Any]:
    recent = row["recent"]
    return [
        row["name"],
        state_words(row["state"]),
        row["current"],
        f"{row['ready']} of {row['replicas_wanted']}",
        round(recent["per_minute"], 2),
        None if recent["p95_ms"] is None else round(recent["p95_ms"], 1),
        _moment(row["answered_at"]),
    ]


@models.command()
@click.argument("name")
@click.option("--versions", is_flag=True, help="Also every version.")
@click.option("--events", is_flag=True, help="Also what happened, the newest first.")
@common
def show(app: App, name: str, versions: bool, events: bool) -> None:
    """Show a model: state and why, and of each replica the process, readiness, last good answer."""
    document = dict(app.portal.call("model_retrieve", name=name))
    document["replicas"] = app.portal.call("model_replicas", name=name)
    if versions:
        document["versions"] = list(app.portal.pages("model_versions", name=name))
    if events:
        document["events"] = list(app.portal.pages("model_events", name=name, limit=50))
    app.print(document, lambda: _show(app, document))


def _show(app: App, document: dict[str, Any]) -> None:
    click.echo(f"{document['name']}: {_standing(document)}")
    if document["description"]:
        click.echo(f"  {cell(document['description'])}")
    facts = {
        "version": document["current"],
        "ready": f"{document['ready']} of {document['replicas_wanted']} replicas",
        "answered": _moment(document["answered_at"]),
        "by": document["created_by"],
        "page": f"{app.portal.url}{document['url']}",
    }
    for label, value in facts.items():
        if value:
            click.echo(f"  {label + ':':<10} {cell(value)}")
    heads = ["replica", "on", "version", "state", "process", "ready", "last good answer", "why"]
    if document["replicas"]:
        app.table(heads, map(_replica, document["replicas"]))
    if document.get("versions"):
        app.table(["version", "runs", "approved", "contract", "by", "note"], _versions(document))
    for event in document.get("events", ()):
        version = f" v{event['version']}" if event["version"] else ""
        note = f": {cell(event['note'])}" if event["note"] else ""
        words = f"{state_words(event['verb'])}{version}, {event['actor_label']}{note}"
        click.echo(f"{_moment(event['at'])}  {words}")


def _replica(row: dict[str, Any]) -> list[Any]:
    signs = [sign["label"].lower() for sign in row["signs"]]
    state = "not known" if row["stale"] else state_words(row["state"])
    return [row["id"][:8], row["cluster"], row["version"], state, *signs, row["why"]]


def _versions(document: dict[str, Any]) -> list[list[Any]]:
    return [
        [
            row["number"],
            row["image"] or row["folder"],
            "yes" if row["approved_at"] else "waits",
            "passed" if row["contract_passed_at"] else "",
            row["created_by"],
            row["note"],
        ]
        for row in document["versions"]
    ]


@models.command()
@click.argument("name")
@click.option("--version", "number", type=int, help="Its number; the one that served last unless.")
@click.option("--wait", is_flag=True, help="Until it is ready (exit code 0) or given up (1).")
@common
def start(app: App, name: str, number: int | None, wait: bool) -> int:
    """Have a model answer calls."""
    chosen = {"version": number} if number else {}
    document = app.portal.call("model_start", name=name, **chosen)
    while wait and document["state"] not in ENDS:
        time.sleep(FOLLOW_S)
        document = app.portal.call("model_retrieve", name=name)
    _tell(app, document)
    return NOT_VALID if wait and document["state"] != "ready" else VALID


@models.command()
@click.argument("name")
@click.option("--why", "-m", default="", help="Stands in its timeline.")
@common
def stop(app: App, name: str, why: str) -> None:
    """Have a model answer no more; its versions and settings stay."""
    _tell(app, app.portal.call("model_stop", name=name, **({"why": why} if why else {})))


@models.command()
@click.argument("name")
@common
def restart(app: App, name: str) -> None:
    """Start every replica anew; what was given up is tried again."""
    _tell(app, app.portal.call("model_restart", name=name))


@models.command()
@click.argument("name")
@click.argument("number", type=int)
@common
def deploy(app: App, name: str, number: int) -> None:
    """Have a version serve; it takes the calls once it is ready."""
    app.portal.call("model_version_deploy", name=name, number=number)
    _tell(app, app.portal.call("model_retrieve", name=name))


@models.command("roll-back")
@click.argument("name")
@common
def roll_back(app: App, name: str) -> None:
    """Have the version serve that served before."""
    _tell(app, app.portal.call("model_roll_back", name=name))


def _tell(app: App, document: dict[str, Any]) -> None:
    app.print(document, lambda: app.say(f"{document['name']}: {_standing(document)}"))


def _standing(document: dict[str, Any]) -> str:
    words = state_words(document["state"])
    return f"{words}: {cell(document['why'])}" if document["why"] else words


def _moment(value: str | None) -> str:
    return str(value or "")[:19].replace("T", " ")


@models.command()
@click.argument("name")
@click.option("--replica", default="", help="The begin of its id; the newest unless told.")
@click.option("--launch", type=int, help="Only what this launch printed.")
@click.option("--tail", "-n", default=100, show_default=True, help="So many at the end; 0: all.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the model is stopped or given up.")
@common
def logs(app: App, name: str, replica: str, launch: int | None, tail: int, follow: bool) -> None:
    """Print what a model's server prints."""
    given: dict[str, Any] = {"name": name}
    if replica:
        known = [row["id"] for row in app.portal.call("model_replicas", name=name)]
        given["replica"] = next((one for one in known if one.startswith(replica)), replica)
    if launch is not None:
        given["launch"] = launch
    for line in _lines(app, given, tail=tail, follow=follow):
        app.print(line, lambda line=line: click.echo(_line(line)))


def _lines(app: App, given: dict[str, Any], *, tail: int, follow: bool) -> Iterator[dict[str, Any]]:
    after = 0
    if tail:
        newest = app.portal.call("model_logs", page_size=min(tail, 1000), **given)["results"]
        yield from newest
        after = newest[-1]["id"] if newest else 0
        if not follow:
            return
    while True:
        # Asked before: what the last lines tell was written while it ran.
        state = app.portal.call("model_retrieve", name=given["name"])["state"] if follow else ""
        found = app.portal.call("model_logs", after=after, page_size=PAGE, **given)["results"]
        yield from found
        if found:
            after = found[-1]["id"]
        if len(found) >= PAGE:
            continue
        if not follow or (state in SETTLED and not found):
            return
        time.sleep(FOLLOW_S)


def _line(line: dict[str, Any]) -> str:
    level = "" if line["level"] == "INFO" else f"{line['level']} "
    return f"{level}{cell(line['text'])}"


models.add_command(invoke)
models.add_command(calls)

GROUP = {"models": models}
