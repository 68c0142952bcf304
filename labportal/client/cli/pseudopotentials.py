"""The library of pseudopotentials: list, add, get, delete."""

from __future__ import annotations

from pathlib import Path

import click

from labportal.client.cli.base import App, common
from labportal.client.words import numeral


@click.group()
def pseudopotentials() -> None:
    """Pseudopotentials that calculations share, in families."""


@pseudopotentials.command("list")
@click.option("--family", default="")
@click.option("--element", default="")
@click.option("--format", "form", default="", help="psf, psml or upf.")
@common
def list_(app: App, family: str, element: str, form: str) -> None:
    """List the library."""
    asked = {"family": family, "element": element, "format": form}
    given = {name: value for name, value in asked.items() if value}
    rows = list(app.portal.pages("pseudopotential_list", **given))
    heads = ["id", "family", "element", "name", "format", "functional"]
    empty = "None yet. Add some: labportal pseudopotentials add FAMILY FILES"
    app.print(rows, lambda: app.table(heads, [[r[head] for head in heads] for r in rows], empty))


@pseudopotentials.command()
@click.argument("family")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@common
def add(app: App, family: str, files: tuple[Path, ...]) -> None:
    """Add files, or a zip of them, to a family."""
    answer = app.portal.add_pseudopotentials(family, files)
    rows = [[each["element"], each["name"], each["functional"]] for each in answer["added"]]

    def words() -> None:
        app.table(["element", "name", "functional"], rows)
        for note in answer["notes"]:
            app.say(note)

    app.print(answer, words)


@pseudopotentials.command()
@click.argument("number")
@click.option("--to", "folder", type=click.Path(path_type=Path), default=Path(), help="Here.")
@common
def get(app: App, number: str, folder: Path) -> None:
    """Download one."""
    from labportal.client import transfer

    found = app.portal.call("pseudopotential_retrieve", id=numeral(number))
    place = app.portal.address("pseudopotential_file", id=found["id"])
    target = folder / transfer.safe_name(found["name"])
    path = transfer.download(app.portal.transport, place, target, sha256=found["sha256"])
    app.print({**found, "path": str(path)}, lambda: click.echo(path))


@pseudopotentials.command()
@click.argument("number")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@common
def delete(app: App, number: str, yes: bool) -> None:
    """Delete one (moderators)."""
    if not yes:
        click.confirm(f"Delete pseudopotential {number} for good?", abort=True, err=True)
    app.portal.call("pseudopotential_destroy", id=numeral(number))
    app.print({"deleted": numeral(number)}, lambda: app.say("Deleted."))


GROUP = {"pseudopotentials": pseudopotentials}
