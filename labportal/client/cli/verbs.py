"""What may be done to calculations: the buttons of their pages."""

from __future__ import annotations

from typing import Any

import click

from labportal.client.cli.base import App, common, state_words
from labportal.client.errors import ClientError, Invalid
from labportal.client.spec import axis
from labportal.client.words import numeral

RUNS = click.option("--run", "-r", "runs", type=int, multiple=True, help="Only this run; repeat.")


def note(needed: bool) -> Any:
    words = "The reason, which is needed." if needed else "The reason."
    return click.option("--note", "-m", default="", required=needed, help=words)


def done(app: App, verb: str, numbers: tuple[str, ...], **arguments: Any) -> int | None:
    """Do it to each; what fails is told, the rest is done all the same. The last failure's code."""
    answers, code = [], None
    for number in numbers:
        try:
            answer = app.portal.call(f"calculation_{verb}", id=numeral(number), **arguments)
        except ClientError as error:
            if len(numbers) == 1:
                raise
            code = error.exit_code
            answers.append({"number": number, **error.to_json()})
            app.say(f"{number}: {error.message}")
            continue
        answers.append(answer or {"number": number, "done": verb})
        if isinstance(answer, dict) and "state" in answer:
            app.say(f"{answer['number']}: {state_words(answer['state'])}")
        else:
            app.say(f"{number}: done")
    app.print(answers, lambda: None)
    return code


NUMBERS = click.argument("numbers", nargs=-1, required=True)


@click.command()
@NUMBERS
@RUNS
@note(needed=False)
@common
def cancel(app: App, numbers: tuple[str, ...], runs: tuple[int, ...], note: str) -> int | None:
    """Cancel calculations, or some of the runs of one."""
    return done(app, "cancel", numbers, note=note, runs=list(runs) or None)


@click.command()
@NUMBERS
@RUNS
@click.option("--advised", is_flag=True, help="With what the last verdict advises to change.")
@common
def retry(app: App, numbers: tuple[str, ...], runs: tuple[int, ...], advised: bool) -> int | None:
    """Run again what is not valid, or some of the runs."""
    return done(app, "retry", numbers, runs=list(runs) or None, advised=advised)


@click.command()
@click.argument("number")
@click.argument("axes", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Say what would be added.")
@common
def extend(app: App, number: str, axes: tuple[str, ...], dry_run: bool) -> None:
    """Add values to a sweep: labportal extend C-17 field_y=0.5:0.8:4"""
    program = app.portal.call("software_retrieve", id=app.portal.calculation(number).software)
    asked = [axis(text, program["parameters"]["properties"]) for text in axes]
    answer = app.portal.call("calculation_extend", id=numeral(number), axes=asked, preview=dry_run)
    rows = [[run["point"], run["continues"]] for run in answer["runs"]]

    def words() -> None:
        app.table(["at", "continues run"], rows)
        app.say(answer["note"] or answer["review"])

    app.print(answer, words)


@click.command()
@click.argument("number")
@common
def duplicate(app: App, number: str) -> None:
    """Make a draft with the same parameters and files."""
    copy = app.portal.call("calculation_duplicate", id=numeral(number))
    app.print(copy, lambda: click.echo(copy["number"]))


@click.command()
@NUMBERS
@common
def withdraw(app: App, numbers: tuple[str, ...]) -> int | None:
    """Take back what waits for a moderator; it is a draft again."""
    return done(app, "withdraw", numbers)


@click.command()
@NUMBERS
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@common
def delete(app: App, numbers: tuple[str, ...], yes: bool) -> int | None:
    """Delete drafts, with their files."""
    if not yes:
        click.confirm(f"Delete {', '.join(numbers)} for good?", abort=True, err=True)
    return done(app, "destroy", numbers)


@click.command()
@NUMBERS
@note(needed=False)
@common
def approve(app: App, numbers: tuple[str, ...], note: str) -> int | None:
    """Approve what waits for review (moderators)."""
    return done(app, "approve", numbers, note=note)


@click.command("send-back")
@NUMBERS
@note(needed=True)
@common
def send_back(app: App, numbers: tuple[str, ...], note: str) -> int | None:
    """Send back what waits for review, with a reason (moderators)."""
    return done(app, "send_back", numbers, note=note)


@click.command()
@NUMBERS
@click.option("--to", "value", type=int, required=True, help="Higher comes first.")
@common
def priority(app: App, numbers: tuple[str, ...], value: int) -> int | None:
    """Change the priority in the queue (moderators)."""
    return done(app, "priority", numbers, priority=value)


@click.command()
@NUMBERS
@note(needed=False)
@common
def validate(app: App, numbers: tuple[str, ...], note: str) -> int | None:
    """Vouch for the results of somebody else, as a second person."""
    return done(app, "validate", numbers, note=note)


@click.command()
@NUMBERS
@note(needed=True)
@common
def retract(app: App, numbers: tuple[str, ...], note: str) -> int | None:
    """Take results back; what was derived from them is flagged."""
    return done(app, "retract", numbers, note=note)


@click.command()
@NUMBERS
@note(needed=True)
@common
def restore(app: App, numbers: tuple[str, ...], note: str) -> int | None:
    """Undo a retraction."""
    return done(app, "restore", numbers, note=note)


@click.command()
@NUMBERS
@click.option("--off", is_flag=True, help="Let them go again when their time is over.")
@common
def keep(app: App, numbers: tuple[str, ...], off: bool) -> int | None:
    """Keep the raw files on the cluster for good."""
    return done(app, "keep_files", numbers, keep=not off)


@click.command()
@click.argument("number")
@click.argument("names", nargs=-1)
@click.option("--complete", is_flag=True, help="Also what the named ones require.")
@common
def reanalyse(app: App, number: str, names: tuple[str, ...], complete: bool) -> None:
    """Compute analyses again from the stored results, without a new run.

    Without names: those that the calculation has. A worker does it; see: labportal show.
    """
    found = app.portal.calculation(number)
    wanted = list(names) or list(found.document["analyses"])
    if not wanted:
        raise Invalid(f"{found.number} has no analyses; name some: labportal analyses --software X")
    answer = app.portal.call("calculation_analyses", id=found.id, names=wanted, complete=complete)
    app.print(answer, lambda: app.say(f"{found.number}: {', '.join(answer['names'])} asked for."))


BULK = ("submit", "withdraw", "cancel", "retry", "validate", "keep", "let_go", "priority", "delete")


@click.command()
@click.argument("verb", type=click.Choice(BULK))
@NUMBERS
@click.option("--to", "value", type=int, help="With priority: higher comes first.")
@common
def bulk(app: App, verb: str, numbers: tuple[str, ...], value: int | None) -> int | None:
    """Do one thing to many at once, and say how to take it back."""
    ids = [numeral(number) for number in numbers]
    more = {} if value is None else {"priority": value}
    return _told(app, app.portal.call("calculation_verbs", verb=verb, ids=ids, **more))


@click.command()
@click.argument("token")
@common
def undo(app: App, token: str) -> int | None:
    """Take back what `bulk` did, some minutes long, by the token that it gave."""
    return _told(app, app.portal.call("calculation_undo", undo=token))


def _told(app: App, answer: dict[str, Any]) -> int | None:
    def words() -> None:
        click.echo(f"{answer['done']} {answer['words']}")
        for problem in answer["problems"]:
            app.say(problem)
        if answer["undo"]:
            app.say(f"Take it back: labportal undo {answer['undo']}")

    app.print(answer, words)
    return 1 if answer["problems"] and not answer["done"] else None


GROUP = {
    each.name: each
    for each in (
        *(cancel, retry, extend, duplicate, withdraw, delete, approve, send_back, priority),
        *(validate, retract, restore, keep, reanalyse, bulk, undo),
    )
}
