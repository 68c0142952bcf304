"""The library of structures: list, add, get."""

from __future__ import annotations

from pathlib import Path

import click

from labportal.client.cli.base import App, common
from labportal.client.words import numeral


@click.group()
def structures() -> None:
    """Structures that calculations share."""


@structures.command("list")
@click.option("--formula", default="", help="In Hill's order: H2O.")
@click.option("--element", default="")
@click.option("--tag", default="")
@click.option("--project", default="")
@click.option("--text", default="")
@click.option("--limit", "-n", default=20, show_default=True, help="At most so many; 0 for all.")
@common
def list_(app: App, limit: int, **filters: str) -> None:
    """List structures, the newest first."""
    given = {name: value for name, value in filters.items() if value}
    rows = list(app.portal.pages("structure_list", limit=limit, **given))
    heads = ["number", "name", "formula", "atom_count", "periodic", "tags", "calculation_count"]
    shown = [[row[head] for head in heads] for row in rows]
    empty = "None yet. Begin with: labportal structures add FILE"
    words = [head.replace("_count", "s") for head in heads]
    app.print(rows, lambda: app.table(words, shown, empty))


@structures.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", default="", help="Of a single file.")
@click.option("--project", default="", help="Its short name.")
@click.option("--tag", "tags", multiple=True)
@click.option("--format", "form", default="", help="Where the name of the file does not tell.")
@common
def add(
    app: App, files: tuple[Path, ...], name: str, project: str, tags: tuple[str, ...], form: str
) -> None:
    """Keep structures of files; what is there already is found again, not doubled."""
    if name and len(files) > 1:
        raise click.UsageError("--name is for a single file.")
    about = {"name": name, "project": project, "format": form}
    given = {key: value for key, value in about.items() if value}
    if tags:
        given["tags"] = list(tags)
    kept = [app.portal.add_structure(file, **given) for file in files]
    heads = ["number", "name", "formula", "atom_count"]
    app.print(
        kept,
        lambda: app.table(
            ["number", "name", "formula", "atoms"], [[k[h] for h in heads] for k in kept]
        ),
    )


@structures.command()
@click.argument("number")
@click.option("--format", "form", default="extxyz", show_default=True, help="cif, poscar, xsf, …")
@click.option("--to", "target", type=click.Path(path_type=Path), help="A file; else it is printed.")
@common
def get(app: App, number: str, form: str, target: Path | None) -> None:
    """Print a structure, or write it into a file."""
    key = numeral(number)
    if app.as_json:
        return app.print(app.portal.call("structure_retrieve", id=key), lambda: None)
    content = app.portal.call("structure_download", id=key, format=form)
    text = content.decode() if isinstance(content, bytes) else content
    if target is None:
        return click.echo(text, nl=False)
    target.write_text(text, encoding="utf-8")
    return click.echo(target)


@structures.command()
@click.argument("number")
@click.option("--limit", "-n", default=20, show_default=True)
@common
def calculations(app: App, number: str, limit: int) -> None:
    """List the calculations of a structure."""
    rows = list(app.portal.pages("structure_calculations", limit=limit, id=numeral(number)))
    heads = ["number", "state", "name", "software"]
    app.print(rows, lambda: app.table(heads, [[row[head] for head in heads] for row in rows]))


GROUP = {"structures": structures}
