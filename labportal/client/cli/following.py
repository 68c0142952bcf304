"""Commands that stay: a calculation while it runs, and its log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from labportal.client.cli.base import STYLES, App, cell, common, state_words
from labportal.client.errors import NOT_VALID, VALID, Invalid
from labportal.client.words import ENDED_RUNS

if TYPE_CHECKING:
    from labportal.client.portal import Calculation

FOLLOW_S = 1.0
PAGE = 500


@click.command()
@click.argument("number")
@click.option("--timeout", type=float, help="Give up after so many seconds (exit code 1).")
@common
def watch(app: App, number: str, timeout: float | None) -> int:
    """Watch a calculation live until it has ended; exit code 0 where it is valid, else 1."""
    return follow(app, app.portal.calculation(number), timeout)


def follow(app: App, found: Calculation, timeout: float | None = None) -> int:
    """Show the runs as they go: bars on a terminal, one line per change elsewhere."""
    deadline = None if timeout is None else time.monotonic() + timeout
    display = _Bars(app) if app.console.is_terminal and not app.as_json else _Lines(app)
    with display:
        for news in found.changes():
            display.show(found, news)
            if deadline is not None and time.monotonic() > deadline and not found.ended:
                break
    app.print(found.document, lambda: _end(found))
    return VALID if found.state == "valid" else NOT_VALID


def _end(found: Calculation) -> None:
    main = ""
    if found.main_value is not None:
        main = f", {found.main_label} {found.main_value:.8g} {found.main_unit}".rstrip()
    click.echo(f"{found.number} {cell(found.name)}: {state_words(found.state)}{main}")
    if found.reason:
        click.echo(f"  {cell(found.reason)}")


class _Lines:
    """For files and pipes: each change of a state is a line on standard error."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._said: dict[str, str] = {}

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, found: Calculation, news: list[dict[str, Any]]) -> None:
        for run in found.runs:
            if self._said.get(run.id) != run.state:
                self._said[run.id] = run.state
                why = f": {cell(run.document['reason'])}" if run.document["reason"] else ""
                self._app.say(f"{found.number} run {run.number}: {state_words(run.state)}{why}")


class _Bars:
    """For terminals: a bar per run that is under way, and one for all."""

    MOST = 12  # runs with a bar of their own

    def __init__(self, app: App) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}"),
            Elapsed(),
            console=app.progress_console,
        )
        self._bars: dict[str, Any] = {}
        self._all: Any = None

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, found: Calculation, news: list[dict[str, Any]]) -> None:
        runs = found.runs
        told = {str(e["run"]): e for e in news if e.get("type") == "run.progress"}
        ended = sum(run.state in ENDED_RUNS for run in runs)
        if self._all is None:
            name = f"{found.number} {_plain(found.name)[:30]}"
            self._all = self._progress.add_task(name, total=len(runs) or None, words="")
        self._progress.update(self._all, completed=ended, words=_counts(found))
        for run in runs:
            if run.state == "running" and (run.id in self._bars or len(self._bars) < self.MOST):
                self._bar(run, told.get(run.id) or run.document["progress"] or {})
            elif run.id in self._bars:
                self._progress.remove_task(self._bars.pop(run.id))

    def _bar(self, run: Any, progress: dict[str, Any]) -> None:
        if run.id not in self._bars:
            name = f"  run {run.number}"
            self._bars[run.id] = self._progress.add_task(name, total=None, words="")
        monitor = progress.get("monitor")
        words = _plain(progress.get("what", ""))
        if isinstance(monitor, int | float):
            words = f"{words} · {monitor:.3g}"
        self._progress.update(
            self._bars[run.id],
            completed=progress.get("done") or 0,
            total=progress.get("of"),
            words=words,
        )


def _plain(text: Any) -> str:
    """Without brackets, which a bar would take for colours."""
    return cell(text).replace("[", "(").replace("]", ")")


def _counts(found: Calculation) -> str:
    counts = found.document.get("run_counts") or {}
    styled = [(state, count, STYLES.get(state, "")) for state, count in counts.items()]
    return ", ".join(
        f"[{style}]{count} {state_words(state)}[/]" if style else f"{count} {state_words(state)}"
        for state, count, style in styled
    )


@click.command()
@click.argument("number")
@click.option("--run", "-r", "run_number", type=int, help="Of a sweep: the run's number.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended.")
@click.option("--text", default="", help="Only lines that contain this.")
@click.option("--level", default="", help="Only this level and what is more serious.")
@click.option("--tail", "-n", default=0, help="Only so many lines at the end.")
@common
def logs(
    app: App, number: str, run_number: int | None, follow: bool, tail: int, **narrowed: str
) -> None:
    """Print the log of a calculation's run; of the only one, or of the one that --run names."""
    found = app.portal.calculation(number)
    runs = [run for run in found.runs if run_number in (None, run.number)]
    if not runs:
        raise Invalid(
            f"There is no run {run_number}; there are {len(found.runs)}."
            if found.runs
            else f"{found.number} has no runs yet."
        )
    if len(runs) > 1:
        raise Invalid(f"{found.number} has {len(runs)} runs: choose one with --run NUMBER.")
    filters = {name: value for name, value in narrowed.items() if value}
    for line in lines(app, found, runs[0].id, filters, tail=tail, follow=follow):
        # One JSON object a line, so that a program can read along.
        app.print(line, lambda line=line: click.echo(_line(line)))


def _line(line: dict[str, Any]) -> str:
    level = "" if line["level"] in ("INFO", "info") else f"{line['level']} "
    return f"{level}{cell(line['text'])}"


def lines(
    app: App, found: Calculation, run: str, filters: dict[str, str], *, tail: int, follow: bool
) -> Iterator[dict[str, Any]]:
    """Yield the lines in order; with `follow` until the run has ended and nothing more comes."""
    after = 0
    if tail:
        newest = app.portal.call("logs", run=run, page_size=min(tail, 1000), **filters)["results"]
        yield from newest[-tail:]
        after = newest[-1]["id"] if newest else 0
    while True:
        # Asked before: what the last lines tell was written while the run went on.
        ended = follow and _ended(found, run)
        page = app.portal.call("logs", run=run, after=after, page_size=PAGE, **filters)
        yield from page["results"]
        if page["results"]:
            after = page["results"][-1]["id"]
        if len(page["results"]) >= PAGE:
            continue
        if not follow or (ended and not page["results"]):
            return
        time.sleep(FOLLOW_S)


def _ended(found: Calculation, run: str) -> bool:
    return any(r.id == run and r.state in ENDED_RUNS for r in found.refresh().runs)


GROUP = {"watch": watch, "logs": logs}
