"""New calculations: from a file, from options, from a template; and what may be set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from labportal.client import spec
from labportal.client.cli.base import App, cell, common, state_words
from labportal.client.cli.files import Bar
from labportal.client.cli.following import follow
from labportal.client.errors import Invalid
from labportal.client.words import numeral

MOST_LINES = 60  # of an input file in a preview
RESOURCES = (
    *("cores", "memory_mib", "walltime_s", "nodes", "tasks", "gpus", "gpu_type"),
    *("partition", "account", "qos", "exclusive", "priority", "automatic_retries"),
)


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--name", "-N", default="", help="In a few words what it is.")
@click.option("--description", default="")
@click.option("--software", "-s", default="", help="siesta, espresso, pyscf, …; see: software.")
@click.option("--template", default="", help="Begin with a template; see: templates.")
@click.option("--structure", default="", metavar="FILE|NUMBER", help="Kept in the library.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A parameter.")
@click.option("--sweep", multiple=True, metavar="NAME=FROM:TO:POINTS", help="Or NAME=A,B,C.")
@click.option("--chain", is_flag=True, help="Each run begins with files of the one before.")
@click.option("--along", default="", help="Of several axes: the one of the chain.")
@click.option("--carry", multiple=True, metavar="PATTERN", help="Files that are handed on.")
@click.option("--analyses", default="", help="Names, by commas; what they require is added.")
@click.option("--file", "files", multiple=True, type=click.Path(path_type=Path), help="An input.")
@click.option("--project", default="")
@click.option("--cluster", default="")
@click.option("--cores", type=int)
@click.option("--memory", "memory_mib", type=int, metavar="MIB")
@click.option("--walltime", "walltime_s", type=int, metavar="SECONDS")
@click.option("--nodes", type=int, help="Cores, memory and GPUs are those of all nodes.")
@click.option("--tasks", type=int, help="0: as the program wants.")
@click.option("--gpus", type=int)
@click.option("--gpu-type", default="", metavar="NAME")
@click.option("--partition", default="", help="Or queue, of the cluster's scheduler.")
@click.option("--account", default="", help="Whose allocation the site charges.")
@click.option("--qos", default="", help="Quality of service.")
@click.option("--licence", "licences", multiple=True, metavar="NAME[:COUNT]")
@click.option("--exclusive", is_flag=True, default=None, help="Share the nodes with nobody.")
@click.option("--priority", type=int)
@click.option("--retries", "automatic_retries", type=int, help="With the change a verdict advises.")
@click.option("--keep-files", is_flag=True, default=None)
@click.option("--draft", is_flag=True, help="Store it, but do not submit it.")
@click.option("--dry-run", is_flag=True, help="Only say what would run, and what it would cost.")
@click.option("--wait", "-w", is_flag=True, help="Watch it to its end; exit code 0 if valid.")
@common
def submit(app: App, file: Path | None, draft: bool, dry_run: bool, wait: bool, **options: Any):
    """Submit a calculation: of a TOML or JSON file, of options, or both (options win).

    labportal submit --software siesta --structure water.xyz --set mixing_weight=0.1
    --sweep field_y=0:0.4:5 --chain --wait
    """
    asked = _merged(app, file, options)
    files = [Path(each) for each in [*asked.pop("files", []), *options["files"]]]
    missing = [str(each) for each in files if not each.is_file()]
    if missing:
        raise Invalid(f"There is no file {', '.join(missing)}.")
    if dry_run:
        return _preview(app, asked, files)
    size = sum(each.stat().st_size for each in files)
    with Bar(app, "uploading", size) as bar:
        made = app.portal.submit(files=files, draft=draft, progress=bar, **asked)
    if wait and not draft:
        app.say(f"{made.number}: {made.url}")
        return follow(app, made)
    state = state_words(made.state)
    app.say(f"{state}{': ' + cell(made.reason) if made.reason else ''} {made.url}")
    app.print(made.document, lambda: click.echo(made.number))
    return None


def _merged(app: App, file: Path | None, options: dict[str, Any]) -> dict[str, Any]:
    """What the template, the file and the options say, the later before the earlier."""
    asked: dict[str, Any] = _template(app, options["template"]) if options["template"] else {}
    if file is not None:
        said = spec.read(file)
        parameters = {**asked.get("parameters", {}), **said.get("parameters", {})}
        asked = {**asked, **said, "parameters": parameters}
    plain = ("name", "description", "software", "project", "cluster", "keep_files", *RESOURCES)
    asked |= {name: options[name] for name in plain if options[name] not in ("", None)}
    if not asked.get("software"):
        raise Invalid("Which program? Name it by --software, in the file, or by --template.")
    asked |= _varied(app, asked, options)
    if options["licences"]:
        asked["licences"] = list(options["licences"])
    if options["analyses"]:
        asked |= {"analyses": _names(options["analyses"]), "complete": True}
    if options["structure"]:
        asked["structure"] = options["structure"]
    asked.setdefault("name", _name(file, asked))
    return _with_structure(app, asked)


def _varied(app: App, asked: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The parameters and the sweep, read as the kinds of the program's parameters want it."""
    shapes: spec.Shapes = {}
    if options["settings"] or options["sweep"]:
        program = app.portal.call("software_retrieve", id=asked["software"])
        shapes = program["parameters"]["properties"]
    given = spec.settings(options["settings"], shapes)
    found: dict[str, Any] = {"parameters": {**asked.get("parameters", {}), **given}}
    swept = spec.sweep(
        options["sweep"],
        shapes,
        chain=options["chain"],
        along=options["along"],
        carry=options["carry"],
    )
    return found if swept is None else {**found, "sweep": swept}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _name(file: Path | None, asked: dict[str, Any]) -> str:
    if file is not None:
        return file.stem
    structure = asked.get("structure")
    stem = Path(str(structure)).stem if structure else ""
    return f"{stem} {asked['software']}".strip()


def _with_structure(app: App, asked: dict[str, Any]) -> dict[str, Any]:
    """A file goes into the library first; a number names what is there."""
    structure = asked.get("structure")
    if not isinstance(structure, str):
        return asked
    if Path(structure).is_file():
        about = {"project": asked["project"]} if asked.get("project") else {}
        asked["structure"] = app.portal.add_structure(structure, **about)["id"]
    elif spec.looks_like_file(structure):
        raise Invalid(f"There is no file {structure}.")
    else:
        asked["structure"] = numeral(structure)
    return asked


def _preview(app: App, asked: dict[str, Any], files: list[Path]) -> None:
    found = app.portal.call("calculation_preview", **asked)
    present = {each.name for each in files}
    missing = [name for name in found["needed_files"] if name not in present]

    def words() -> None:
        for file in found["files"]:
            lines = file["text"].splitlines()
            click.echo(f"--- {file['name']}")
            click.echo("\n".join(lines[:MOST_LINES]))
            if len(lines) > MOST_LINES:
                click.echo(f"… {len(lines) - MOST_LINES} more lines")
        axes = [f"{a['label']} / {a['unit']}".rstrip(" /") for a in found["axes"]]
        if axes:
            rows = [[run["number"], *run["point"], run["continues"]] for run in found["runs"]]
            app.table(["run", *axes, "continues"], rows)
        click.echo(
            f"{len(found['runs'])} runs, at most {_cost(found)}, "
            f"{found['longest_s'] / 3600:.3g} h on a free cluster."
        )
        for one in found["clusters"]:
            if one["why_not"]:
                click.echo(f"Not on {cell(one['cluster'])}: it {cell(one['why_not'])}.")
        if found["review"]:
            click.echo(f"A moderator must agree: it {cell(found['review'])}.")
        if missing:
            click.echo(f"Missing: {', '.join(missing)}. Add them with --file.")

    app.print({**found, "missing_files": missing}, words)


def _cost(found: dict[str, Any]) -> str:
    words = f"{found['core_hours']:.3g} core-hours"
    if found["gpu_hours"]:
        words += f" and {found['gpu_hours']:.3g} GPU-hours"
    return words if found["price"] is None else f"{words} (price {found['price']:.3g})"


def _template(app: App, name: str) -> dict[str, Any]:
    """Return the fields of a draft that a template holds; it is named by its name or number."""
    known = list(app.portal.pages("template_list"))
    found = [each for each in known if name in (str(each["id"]), each["name"])]
    if len(found) != 1:
        names = ", ".join(str(each["name"]) for each in known) or "none"
        raise Invalid(f"{len(found)} templates are called {name!r}; known are {names}.")
    content = {n: v for n, v in found[0]["content"].items() if v is not None}
    return {**content, "software": found[0]["software"], "project": found[0]["project"]}


@click.command()
@click.option("--text", default="", help="Words of the name.")
@click.option("--save", default="", metavar="NUMBER", help="Keep how a calculation is set up.")
@click.option("--name", default="", help="With --save: what it is called.")
@click.option("--description", default="", help="With --save.")
@click.option("--delete", type=int, metavar="ID", help="Forget one.")
@common
def templates(
    app: App, text: str, save: str, name: str, description: str, delete: int | None
) -> None:
    """List the templates that a calculation may begin with; keep one, or forget one."""
    if delete is not None:
        app.portal.call("template_destroy", id=delete)
        return app.print({"deleted": delete}, lambda: app.say("Deleted."))
    if save:
        if not name:
            raise Invalid("--save needs a --name.")
        about = {"description": description} if description else {}
        kept = app.portal.call("template_create", calculation=numeral(save), name=name, **about)
        return app.print(kept, lambda: click.echo(kept["id"]))
    rows = list(app.portal.pages("template_list", **({"text": text} if text else {})))
    heads = ["id", "name", "software", "project", "created_by", "description"]
    empty = "None yet. Keep one: labportal templates --save NUMBER --name NAME"
    shown = [[row[head] for head in heads] for row in rows]
    return app.print(rows, lambda: app.table(heads, shown, empty))


@click.command()
@click.argument("name", default="")
@common
def software(app: App, name: str) -> None:
    """List the programs, or the parameters of one."""
    if not name:
        rows = app.portal.call("software_list")
        heads = ["name", "label", "description"]
        return app.print(rows, lambda: app.table(heads, [[r[h] for h in heads] for r in rows]))
    described = app.portal.call("software_retrieve", id=name)
    sweepable = set(described["sweepable"])
    rows = [
        [
            key,
            shape.get("type") or "/".join(map(str, shape.get("enum", ()))),
            shape.get("default"),
            shape.get("unit") or shape.get("x-unit"),
            key in sweepable,
            shape.get("title"),
        ]
        for key, shape in described["parameters"]["properties"].items()
    ]
    heads = ["parameter", "kind", "default", "unit", "sweepable", "label"]
    return app.print(described, lambda: app.table(heads, rows))


GROUP = {"submit": submit, "templates": templates, "software": software}
