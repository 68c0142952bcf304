"""Signing in and out, who one is, and which portals are known."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click

from labportal.client.cli.base import App, common
from labportal.client.errors import ClientError, Invalid, NotSignedIn


@click.command()
@click.option("--url", default="", help="The portal's address; asked for where it is not known.")
@click.option("--username", "-u", default="", help="Your name at the portal.")
@click.option(
    "--token", "token", is_flag=True, help="Read a refresh token from standard input instead."
)
@click.option("--allow-http", is_flag=True, help="Sign in at an address without encryption.")
@common
def login(app: App, url: str, username: str, token: bool, allow_http: bool) -> None:
    """Sign in; the password is asked for, never given as an option.

    What is kept is a token in a file that only you can read, renewed at each use and revoked from
    your profile page. --portal gives the portal a name, for those who use several.
    """
    from labportal.client.profiles import DEFAULT, Profile, Profiles
    from labportal.client.transport import Transport, checked_url

    profiles = Profiles()
    known = profiles.all()
    name = app.profile or (profiles.chosen if not url else _named(known, url) or DEFAULT)
    url = url or (known[name].url if name in known else "") or click.prompt("Address", err=True)
    profile = Profile(name, checked_url(url, allow_http=allow_http))
    transport = Transport(profile, profiles)
    if token:
        with profiles.lock():
            profiles.put(profile)  # so that no older token is taken up
        profile = _by_token(transport)
    else:
        username = username or click.prompt("Name", err=True)
        password = click.prompt("Password", hide_input=True, err=True)
        with profiles.lock():
            profile = transport.sign_in(username, password)
    me = transport.request("GET", "/api/v1/me/").json()
    told = _announced(transport)
    transport.close()
    with profiles.lock():
        stored = profiles.get(name)
        profiles.put(replace(stored, username=me["username"]), choose=True)
    document = {"portal": name, "url": profile.url, "username": me["username"]}
    lines = [f"Signed in at {profile.url} as {me['display_name']}.", *told]
    app.print({**document, "announcements": told}, lambda: app.say("\n".join(lines)))


def _announced(transport: Any) -> list[str]:
    """What the portal tells everybody now; older portals tell nothing."""
    from labportal.client.errors import NotFound

    try:
        rows = transport.request("GET", "/api/v1/announcements/?current=true").json()
    except NotFound:
        return []
    return [": ".join(filter(None, (row["cluster"], row["text"]))) for row in rows["results"]]


def _named(known: dict[str, Any], url: str) -> str:
    return next((name for name, each in known.items() if each.url.rstrip("/") in url), "")


def _by_token(transport: Any) -> Any:
    raw = sys.stdin.readline().strip()
    if not raw:
        raise Invalid("--token reads a refresh token from standard input, which is empty.")
    return transport.adopt(raw)


@click.command()
@common
def logout(app: App) -> None:
    """Sign out: the token is revoked at the portal and forgotten here."""
    from labportal.client.profiles import Profiles
    from labportal.client.transport import Transport

    profiles = Profiles()
    profile = profiles.get(app.profile)
    problem = ""
    try:
        with profiles.lock():
            Transport(profiles.get(app.profile), profiles).sign_out()
    except ClientError as error:
        if not isinstance(error, NotSignedIn):
            problem = f" The portal was not told: {error.message}"
    finally:
        profiles.forget_token(profile.name)
    app.print(
        {"portal": profile.name, "revoked": not problem},
        lambda: app.say(f"Signed out of {profile.url}.{problem}"),
    )


@click.command()
@common
def whoami(app: App) -> None:
    """Say who you are, where, and what your role may do."""
    me = app.portal.call("me")

    def words() -> None:
        click.echo(f"{me['username']} ({me['role']}) at {app.portal.url}")
        if me.get("can"):
            click.echo(f"may: {', '.join(me['can'])}")

    app.print({**me, "url": app.portal.url}, words)


@click.command()
@common
def portals(app: App) -> None:
    """List the portals that you have signed in at."""
    from labportal.client.profiles import Profiles

    profiles = Profiles()
    rows = [
        {
            "portal": each.name,
            "url": each.url,
            "username": each.username,
            "signed_in": bool(each.refresh),
            "chosen": each.name == profiles.chosen,
        }
        for each in profiles.all().values()
    ]
    heads = ["portal", "url", "username", "signed in", "chosen"]
    empty = "None yet. Begin with: labportal login --url ADDRESS"
    app.print(rows, lambda: app.table(heads, [list(row.values()) for row in rows], empty))


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion of your shell: eval "$(labportal completion bash)"."""
    from click.shell_completion import get_completion_class

    from labportal.client.cli import program

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not known.")
    click.echo(kind(program, {}, "labportal", "_LABPORTAL_COMPLETE").source())


GROUP = {each.name: each for each in (login, logout, whoami, portals, completion)}
