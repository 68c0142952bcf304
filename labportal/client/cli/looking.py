"""Commands that only look: lists, one calculation, results, comparison, search."""

from __future__ import annotations

import sys
from typing import Any

import click

from labportal.client.cli.base import App, cell, common, state_words
from labportal.client.errors import NOT_VALID, Invalid
from labportal.client.words import numeral

FORMS = click.Choice(["table", "csv", "json"])


@click.command("list")
@click.option("--state", default="", help="draft, in_review, queued, running, valid, not_valid, …")
@click.option("--software", default="")
@click.option("--project", default="", help="Its short name.")
@click.option("--person", default="", help="Who made it.")
@click.option("--cluster", default="")
@click.option("--standing", default="", help="checked, validated, retracted, trusted, …")
@click.option("--structure", default="", help="The number of a structure of the library.")
@click.option("--text", default="", help="Words of the name, or a number.")
@click.option("--limit", "-n", default=20, show_default=True, help="At most so many; 0 for all.")
@common
def list_(app: App, limit: int, **filters: str) -> None:
    """List calculations, the newest first."""
    known = app.portal.schema.operation("calculation_list").parameters
    given = {name: value for name, value in filters.items() if value}
    if unknown := [name for name in given if name not in known]:
        raise Invalid(f"This portal does not filter by {', '.join(unknown)}.")
    rows = list(app.portal.pages("calculation_list", limit=limit, **given))
    heads = ["number", "state", "name", "software", "runs", "result", "by", "created"]
    app.print(
        rows,
        lambda: app.table(heads, map(_row, rows), "None yet. Begin with: labportal submit --help"),
    )


def _row(row: dict[str, Any]) -> list[Any]:
    return [
        row["number"],
        state_words(row["state"]),
        row["name"],
        row["software"],
        row["run_count"],
        _main(row),
        row["created_by"],
        str(row["created_at"])[:16].replace("T", " "),
    ]


def _main(row: dict[str, Any]) -> str:
    if row["main_value"] is None:
        return ""
    return f"{row['main_value']:.8g} {row['main_unit']}".strip()


@click.command()
@click.argument("number")
@click.option("--events", is_flag=True, help="Also each change: when, who, why.")
@click.option("--charts", is_flag=True, help="Print the charts with their values, as JSON.")
@common
def show(app: App, number: str, events: bool, charts: bool) -> None:
    """Show a calculation: state and why, parameters, runs, main results."""
    found = app.portal.calculation(number)
    if charts:
        import json

        click.echo(json.dumps(app.portal.call("calculation_charts", id=found.id), indent=2))
        return
    document = dict(found.refresh().document)
    if events:
        document["events"] = app.portal.call("calculation_events", id=found.id)
    app.print(document, lambda: _show(app, found, document))


def _show(app: App, found: Any, document: dict[str, Any]) -> None:
    click.echo(f"{found.number} {cell(found.name)}: {state_words(found.state)}")
    if document["reason"]:
        click.echo(f"  {cell(document['reason'])}")
    if document.get("waits_for"):
        click.echo(f"  {cell(document['waits_for'])}")
    if document["description"]:
        click.echo(f"  {cell(document['description'])}")
    facts = {
        "software": document["software"],
        "project": document["project"],
        "by": document["created_by"],
        "cluster": document["cluster"] or "any",
        "standing": document.get("standing"),
        "result": f"{document['main_label']} {_main(document)}" if _main(document) else "",
        "page": found.url,
    }
    for name, value in facts.items():
        if value:
            click.echo(f"  {name + ':':<10} {cell(value)}")
    click.echo("parameters:")
    for name, value in document["parameters"].items():
        text = cell(value)
        click.echo(f"  {name} = {text if len(text) < 100 else text[:100] + '…'}")
    for quantity in document["quantities"]:
        value = f"{cell(quantity['value'])} {quantity['unit']}".rstrip()
        click.echo(f"{cell(quantity['label'])}: {value}")
    rows = [
        [
            r["index"] + 1,
            state_words(r["state"]),
            r["point"],
            r["cluster"],
            r.get("waits_for") or r["reason"],
        ]
        for r in document["runs"]
    ]
    if rows:
        app.table(["run", "state", "at", "cluster", "why"], rows)
    for event in document.get("events", ()):
        run = "" if event["run_index"] is None else f" run {event['run_index'] + 1}"
        click.echo(
            f"{event['at'][:19]} {event['verb']}{run} {cell(event['actor_label'])} "
            f"{cell(event['note'])}".rstrip()
        )


@click.command()
@click.argument("number")
@click.option("--form", type=FORMS, default="table", show_default=True)
@click.option("--run", "run_number", type=int, help="A run's number, with --dataset.")
@click.option("--dataset", default="", help="A series or table by name; see --datasets.")
@click.option("--datasets", is_flag=True, help="List the datasets.")
@click.option("--quantities", is_flag=True, help="What was found across all runs.")
@common
def results(
    app: App,
    number: str,
    form: str,
    run_number: int | None,
    dataset: str,
    datasets: bool,
    quantities: bool,
) -> int | None:
    """Print the runs with their quantities, or one dataset, as a table, CSV or JSON.

    Exit code 1 where the calculation is not valid.
    """
    found = app.portal.calculation(number)
    form = "json" if app.as_json else form
    if quantities:
        rows = found.document["quantities"]
        heads = ["name", "value", "unit", "label", "analysis"]
        _put(app, form, heads, [[row[head] for head in heads] for row in rows], rows)
    elif datasets or dataset:
        _datasets(app, found, form, run_number, dataset)
    elif form == "csv":
        click.echo(app.portal.call("calculation_runs_csv", id=found.id), nl=False)
    else:
        table = found.table()
        heads = [f"{c['name']} / {c['unit']}" if c["unit"] else c["name"] for c in table["columns"]]
        _put(app, form, heads, table["rows"], table)
    return NOT_VALID if found.ended and found.state != "valid" else None


def _datasets(app: App, found: Any, form: str, number: int | None, name: str) -> None:
    runs = [run for run in found.runs if number in (None, run.number)]
    if not runs:
        raise Invalid(f"There is no run {number}; there are {len(found.runs)}.")
    known = list(found.document["datasets"]) if number is None else []
    known += runs[0].detail["datasets"] if number is not None or len(runs) == 1 else []
    if not name:
        rows = [[d["name"], d["kind"], d["label"], len(_values(d))] for d in known]
        _put(app, form, ["name", "kind", "label", "rows"], rows, known)
        if not known:
            app.say("Those of a single run: --run NUMBER")
        return
    one = next((d for d in known if d["name"] == name), None)
    if one is None:
        names = ", ".join(d["name"] for d in known) or "none"
        hint = "" if number else " Those of a single run: --run NUMBER."
        raise Invalid(f"There is no dataset {name!r} here; known are {names}.{hint}")
    if form == "csv":
        click.echo(app.portal.call("dataset_csv", id=one["id"]), nl=False)
        return
    columns = one["columns"]
    heads = [f"{c['name']} / {c['unit']}" if c.get("unit") else c["name"] for c in columns]
    rows = [list(row) for row in zip(*(c["values"] for c in columns), strict=True)]
    _put(app, form, heads, rows, one)


def _values(dataset: dict[str, Any]) -> list[Any]:
    return dataset["columns"][0]["values"] if dataset["columns"] else []


def _put(app: App, form: str, heads: list[str], rows: Any, document: Any) -> None:
    if form == "csv":
        import csv

        writer = csv.writer(sys.stdout)
        writer.writerow(heads)
        writer.writerows([cell(value) for value in row] for row in rows)
        return
    app.as_json = form == "json"
    app.print(document, lambda: app.table(heads, rows))


@click.command()
@click.argument("numbers", nargs=-1, required=True)
@click.option("--to", "reference", default="", help="The one that differences are to.")
@click.option("--all", "everything", is_flag=True, help="Also the lines that are all alike.")
@click.option("--csv", "as_csv", is_flag=True)
@common
def compare(
    app: App, numbers: tuple[str, ...], reference: str, everything: bool, as_csv: bool
) -> None:
    """Compare calculations: what differs, and their results side by side in one unit."""
    asked: dict[str, Any] = {"id": [numeral(number) for number in numbers]}
    if reference:
        asked["ref"] = numeral(reference)
    if as_csv:
        return click.echo(app.portal.call("comparison_csv", **asked), nl=False)
    answer = app.portal.call("comparison", **asked)

    def words() -> None:
        heads = ["", "unit", *(each["number"] for each in answer["calculations"])]
        rows = [
            [line["label"] or line["name"], line["unit"], *line["values"]]
            for section in answer["sections"]
            for line in section["lines"]
            if line["differs"] or everything
        ]
        app.table(heads, rows, "They are alike; see all lines with --all.")

    return app.print(answer, words)


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--in", "kind", default="", help="calculations, runs, structures or results.")
@click.option("--limit", "-n", default=20, show_default=True, help="Of each kind, at most so many.")
@common
def search(app: App, words: tuple[str, ...], kind: str, limit: int) -> None:
    """Search calculations, runs, structures and results, in conditions or in words.

    labportal search "valid water runs with a gap above 5 eV"
    """
    asked = {"q": " ".join(words), "limit": limit, **({"in": kind} if kind else {})}
    answer = app.portal.call("search", **asked)
    app.print(answer, lambda: _found(app, answer))


def _found(app: App, answer: dict[str, Any]) -> None:
    app.say(f"Understood as: {answer['query'] or 'nothing'}")
    groups = {name: group for name, group in answer["groups"].items() if group["count"]}
    if not groups:
        app.say("Nothing found.")
    for name, group in groups.items():
        more = "" if group["count_is_exact"] else "more than "
        app.say(f"{more}{group['count']} {name}")
        heads = list(group["rows"][0])
        app.table(heads, [[_value(row[head]) for head in heads] for row in group["rows"]])


def _value(value: Any) -> Any:
    """What a search found in a row: "Gap 5.1 eV", several by commas."""
    if not isinstance(value, list):
        return value
    return [f"{q['label']} {cell(q['value'])} {q['unit']}".rstrip() for q in value]


@click.command()
@click.option("--columns", "-c", default="", help="Quantities: total_energy:eV,gap")
@click.option("--where", "-w", multiple=True, help='A condition: "gap>=5 eV"; may be repeated.')
@click.option("--per", type=click.Choice(["calculation", "run"]), help="What a row is.")
@click.option("--sort", default="", help="A column, with a minus in falling order.")
@click.option("--software", default="", help="Alone: list the analyses that it offers.")
@click.option("--formula", default="")
@click.option("--standing", default="")
@click.option("--limit", "-n", default=50, show_default=True)
@click.option("--csv", "as_csv", is_flag=True)
@common
def analyses(app: App, where: tuple[str, ...], as_csv: bool, **options: Any) -> None:
    """Lay results across calculations side by side; with --software alone, list its analyses."""
    given = {name: value for name, value in options.items() if value}
    if set(given) == {"software", "limit"} and not where and not as_csv:
        described = app.portal.call("software_retrieve", id=given["software"])["analyses"]
        heads = ["name", "scope", "requires", "label"]
        rows = [[each[head] for head in heads] for each in described]
        return app.print(described, lambda: app.table(heads, rows))
    if where:
        given["where"] = list(where)
    if as_csv:
        return click.echo(app.portal.call("results_csv", **_text(given)), nl=False)
    answer = app.portal.call("results", **_text(given))
    names = [column["name"] for column in answer["columns"]]
    heads = ["calculation", "name", "run"]
    heads += [f"{c['name']} / {c['unit']}" if c["unit"] else c["name"] for c in answer["columns"]]
    rows = [
        [
            row["number"],
            row["name"],
            None if row["run_index"] is None else row["run_index"] + 1,
            *(row["values"][name] for name in names),
        ]
        for row in answer["results"]
    ]
    return app.print(answer, lambda: app.table(heads, rows))


def _text(given: dict[str, Any]) -> dict[str, Any]:
    return {n: v if isinstance(v, list) else str(v) for n, v in given.items()}


@click.command("open")
@click.argument("number", default="")
@common
def open_(app: App, number: str) -> None:
    """Open the portal, or the page of a calculation, in the browser."""
    url = app.portal.calculation(number).url if number else f"{app.portal.url}/"
    app.print({"url": url}, lambda: click.echo(url))
    if not app.as_json:
        click.launch(url)


GROUP = {
    "list": list_,
    "show": show,
    "results": results,
    "compare": compare,
    "search": search,
    "analyses": analyses,
    "open": open_,
}
