"""Files from the portal: what runs have left, reports, and exports that a worker makes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from labportal.client.cli.base import App, common
from labportal.client.errors import ClientError, Invalid
from labportal.client.words import numeral

POLL_S = 0.7
ENDED = frozenset({"ready", "failed"})


class Bar:
    """A bar for many files on a terminal, nothing elsewhere."""

    def __init__(self, app: App, what: str, size: int) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining
        from rich.progress import TransferSpeedColumn as Speed

        console = app.progress_console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            Speed(),
            Remaining(),
            console=console,
            disable=not console.is_terminal or app.as_json,
        )
        self._task = self._progress.add_task(what, total=size)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, count: int) -> None:
        self._progress.advance(self._task, count)


@click.command()
@click.argument("number")
@click.argument("pattern", default="*")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), default=Path(), help="The folder, here."
)
@click.option("--run", "-r", "runs", type=int, multiple=True, help="Only this run; repeat.")
@click.option("--report", type=click.Choice(["pdf", "json"]), help="Instead: the report.")
@click.option("--list", "only_list", is_flag=True, help="Only say which files there are.")
@common
def fetch(
    app: App,
    number: str,
    pattern: str,
    folder: Path,
    runs: tuple[int, ...],
    report: str | None,
    only_list: bool,
) -> None:
    """Download files of a calculation: labportal fetch C-17 "*.EIG" --to results

    Each file is compared with its checksum; a download that broke off is taken up again.
    """
    found = app.portal.calculation(number)
    if report:
        return _report(app, found, folder, report)
    chosen = found.files(folder, pattern=pattern, runs=runs)
    if not chosen:
        raise ClientError(f"{found.number} has no files that fit {pattern!r}.", remedy="")
    if only_list:
        rows = [[r.number, f["name"], f["size"], f["sha256"]] for r, f, _ in chosen]
        heads = ["run", "name", "size", "sha256"]
        return app.print(
            [dict(zip(heads, row, strict=True)) for row in rows], lambda: app.table(heads, rows)
        )
    with Bar(app, found.number, sum(file["size"] for _, file, _ in chosen)) as bar:
        paths = [str(run.fetch(file, place, progress=bar)) for run, file, place in chosen]
    return app.print(paths, lambda: click.echo("\n".join(paths)))


def _report(app: App, found: Any, folder: Path, form: str) -> None:
    from labportal.client import transfer

    operation = "calculation_report_pdf" if form == "pdf" else "calculation_report"
    place = app.portal.address(operation, id=found.id)
    target = folder / f"{found.number}-report.{form}"
    target.unlink(missing_ok=True)  # a report is made anew
    path = str(transfer.download(app.portal.transport, place, target))
    app.print([path], lambda: click.echo(path))


@click.command()
@click.argument("kind", default="")
@click.argument("number", default="")
@click.option("--to", "folder", type=click.Path(path_type=Path), default=Path())
@click.option("--filter", "filters", multiple=True, metavar="NAME=VALUE", help="Of a set of runs.")
@click.option("--standing", type=click.Choice(["validated", "checked"]), help="Of a set of runs.")
@click.option("--include", multiple=True, help="A part that is to be in it; repeat.")
@click.option("--files", "which", type=click.Choice(["all", "inputs", "none"]), help="Of a crate.")
@click.option("--note", default="", help="Words that go with it.")
@click.option("--no-wait", is_flag=True, help="Ask for it, and fetch it from the page later.")
@common
def export(
    app: App,
    kind: str,
    number: str,
    folder: Path,
    filters: tuple[str, ...],
    include: tuple[str, ...],
    which: str | None,
    no_wait: bool,
    **options: Any,
) -> None:
    """Have a file made, and fetch it. Without a kind: list the kinds.

    labportal export rocrate C-17; labportal export parquet --filter software=siesta
    """
    from labportal.client import transfer

    kinds = app.portal.call("export_kinds")
    if not kind:
        heads = ["name", "of", "label", "help"]
        return app.print(kinds, lambda: app.table(heads, [[k[h] for h in heads] for k in kinds]))
    if kind not in [each["name"] for each in kinds]:
        raise Invalid(f"There is no kind {kind!r}: {', '.join(each['name'] for each in kinds)}.")
    asked = {name: value for name, value in options.items() if value}
    if number:
        asked["calculation"] = numeral(number)
    if filters:
        asked["filters"] = _pairs(filters)
    if include:
        asked["include"] = list(include)
    if which:
        asked["files"] = which
    made = app.portal.call("export_create", kind=kind, **asked)
    if no_wait:
        return app.print(made, lambda: click.echo(made["id"]))
    made = _wait(app, made)
    if made["state"] != "ready":
        raise ClientError(
            str(made.get("problem") or made.get("error") or f"It ended as {made['state']}."),
            remedy="Ask for it again; its page tells more.",
        )
    place = app.portal.address("export_file", id=made["id"])
    with Bar(app, made["file_name"], made.get("size") or 0) as bar:
        name = transfer.safe_name(made["file_name"])
        path = transfer.download(
            app.portal.transport,
            place,
            folder / name,
            sha256=made.get("sha256") or "",
            progress=bar,
        )
    return app.print({**made, "path": str(path)}, lambda: click.echo(path))


def _pairs(filters: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in filters:
        name, sign, text = pair.partition("=")
        if not sign:
            raise Invalid(f"--filter {pair}: expected NAME=VALUE, such as software=siesta")
        found[name] = text
    return found


def _wait(app: App, made: dict[str, Any]) -> dict[str, Any]:
    with app.progress_console.status(f"{made['label'] or made['kind']} …"):
        while made["state"] not in ENDED:
            time.sleep(POLL_S)
            made = app.portal.call("export_retrieve", id=made["id"])
    return made


GROUP = {"fetch": fetch, "export": export}
