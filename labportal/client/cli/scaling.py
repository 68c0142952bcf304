"""The command that shows how a calculation scales with its ranks, and which number is cheapest."""

from __future__ import annotations

from typing import Any

import click

from labportal.client.cli.base import App, common
from labportal.client.words import numeral

COLUMNS = {
    "ranks": "N",
    "runs": "runs",
    "reduced_s": "time / s",
    "work_s": "work / s",
    "speed_up": "speed-up",
    "efficiency": "efficiency",
    "ready_s": "start-up / s",
    "straggling": "max/median",
    "core_hours": "core-h",
    "price": "price",
    "functions_price": "Lambda / $",
}
CHEAPEST = {
    "on_cluster": "on the cluster",
    "on_cluster_in_time": "on the cluster, in time",
    "as_functions": "as functions",
    "as_functions_in_time": "as functions, in time",
}


@click.command()
@click.argument("number")
@click.option("--with", "others", multiple=True, help="Another calculation; may be repeated.")
@click.option("--core-hour", type=float, help="Price of one; else the cluster's.")
@click.option("--gpu-hour", type=float, help="Price of one; else the cluster's.")
@click.option("--memory", type=int, help="Of a Lambda function, in MB.")
@click.option("--deadline", type=float, help="In seconds, to the reduced result.")
@click.option("--csv", "as_csv", is_flag=True)
@common
def scaling(app: App, number: str, others: tuple[str, ...], as_csv: bool, **said: Any) -> None:
    """Show speed-up, start-up and cost by the number of ranks, and the cheapest number."""
    asked: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    if others:
        asked["with"] = ",".join(others)
    if as_csv:
        answer = app.portal.call("calculation_scaling_csv", id=numeral(number), **asked)
        return click.echo(answer, nl=False)
    answer = app.portal.call("calculation_scaling", id=numeral(number), **asked)
    return app.print(answer, lambda: _words(app, answer))


def _words(app: App, answer: dict[str, Any]) -> None:
    if not answer["works"]:
        app.say("No valid run tells of its ranks yet.")
    for work in answer["works"]:
        if work["label"]:
            app.say(work["label"])
        rows = [[_short(point[name]) for name in COLUMNS] for point in work["points"]]
        app.table(list(COLUMNS.values()), rows)
        if law := work["start_up"]:
            unsure = "" if law["settled"] else "; other laws fit as well"
            app.say(
                f"start-up {law['a_s']:.3g} s, {law['b_s']:+.3g} s in {law['law']}, "
                f"residual {law['residual_s']:.2g} s{unsure}"
            )
        found = [
            f"{words} N = {n}" for name, words in CHEAPEST.items() if (n := work["cheapest"][name])
        ]
        app.say(f"cheapest: {', '.join(found)}")


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


GROUP = {"scaling": scaling}
