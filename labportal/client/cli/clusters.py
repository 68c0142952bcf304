"""The clusters: how they are, and what admins do to them while they work."""

from __future__ import annotations

from typing import Any

import click

from labportal.client.cli.base import App, common, state_words
from labportal.client.errors import Invalid

VERBS = ("drain", "disable", "enable", "release", "update-agent")
WITH_NOTE = ("drain", "disable")


@click.command()
@click.argument("name", default="")
@click.option("--do", "verb", type=click.Choice(VERBS), default=None, help="For admins.")
@click.option("--note", "-m", default="", help="With drain and disable: told to who waits for it.")
@common
def clusters(app: App, name: str, verb: str | None, note: str) -> None:
    """List the clusters: state, free slots, software, when last heard; or show one.

    With --do, an admin drains or disables one, enables it again, lets work in after it was held
    (release), or has its agent change to the portal's version.
    """
    if verb:
        return _operate(app, name, verb, note)
    if name:
        one = app.portal.call("cluster_retrieve", name=name)
        return app.print(one, lambda: app.table(["", name], [[k, v] for k, v in one.items()]))
    rows = list(app.portal.pages("cluster_list"))
    heads = ["name", "state", "slots used", "software", "heard"]
    return app.print(rows, lambda: app.table(heads, map(_row, rows)))


def _operate(app: App, name: str, verb: str, note: str) -> None:
    if not name:
        raise Invalid(f"Name the cluster: labportal clusters NAME --do {verb}")
    if note and verb not in WITH_NOTE:
        raise Invalid(f"--note goes with {' and '.join(WITH_NOTE)} alone.")
    said = {"note": note} if note else {}
    one = app.portal.call(f"cluster_{verb.replace('-', '_')}", name=name, **said)
    app.print(one, lambda: app.say(f"{name}: {_standing(one)}"))


def _standing(row: dict[str, Any]) -> str:
    words = state_words(row["state"])
    return f"{words}: {row['why']}" if row.get("why") else words


def _row(row: dict[str, Any]) -> list[Any]:
    return [
        row["name"],
        _standing(row),
        f"{row['slots_used']} of {row['slots']}",
        ", ".join(each["label"] for each in row["software"] if each["ok"]),
        str(row["last_exchange_at"] or "never")[:19].replace("T", " "),
    ]


GROUP = {"clusters": clusters}
