"""The agent's file and its settings on the cluster: looked at, put there, updated by checksum."""

from __future__ import annotations

import base64
import configparser
import hashlib
import io
import json
import secrets
import shlex
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from clusters.agent import config
from clusters.agent.schedulers.choice import dialect_of
from clusters.agent_download import agent_file
from clusters.models import SshAccess
from clusters.transports.ssh.arguments import shell_path
from clusters.transports.ssh.connection import Connection
from clusters.transports.ssh.troubles import Code
from clusters.transports.trials import Trouble
from labportal.common.errors import InvalidInput

AGENT, SETTINGS = "labportal-agent.pyz", "agent.ini"
MARK = "#labportal-look "
LOOK_S = 60
LEAST_PYTHON = (3, 9)
NO_ROOM = (28, 122)  # ENOSPC, EDQUOT, as Linux numbers them
OWN = {"work", "carrier", "scheduler"}  # settings that the form has fields for
ALLOWED = ("agent", "scheduler")


@dataclass(frozen=True, slots=True)
class Found:
    """What stands over there."""

    work: str
    python: str
    free_mib: int | None
    agent: str
    settings: str

    @property
    def spool(self) -> str:
        return f"{self.work}/spool"


def settings_text(access: SshAccess) -> str:
    """Return the agent's INI file. Raises InvalidInput where the further settings are wrong."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(access.agent_settings, source="further settings")
    except configparser.Error as error:
        raise InvalidInput(f"This is no INI file: {error}", field="agent_settings") from None
    for section in parser.sections():
        if section not in ALLOWED and not section.startswith(config.SOFTWARE_PREFIX):
            raise InvalidInput(
                f"Section [{section}] cannot stand here; use [agent], [scheduler] or "
                f"[{config.SOFTWARE_PREFIX}<program>].",
                field="agent_settings",
            )
    if not parser.has_section("agent"):
        parser.add_section("agent")
    twice = OWN & set(parser["agent"])
    if twice:
        raise InvalidInput(
            f"[agent] {', '.join(sorted(twice))}: the form has a field for that.",
            field="agent_settings",
        )
    parser["agent"].update(work=access.work, carrier=config.SSH, scheduler=access.scheduler)
    text = io.StringIO()
    parser.write(text)
    try:
        dialect_of(config.parse(text.getvalue(), Path(SETTINGS)))
    except config.BadConfig as error:
        words = str(error).removeprefix(f"{SETTINGS}: ")
        raise InvalidInput(f"{words}.", field="agent_settings") from None
    return text.getvalue()


def digests(access: SshAccess) -> tuple[str, str]:
    """Return the SHA-256 of agent file and settings as they should stand over there."""
    _, sha256 = agent_file()
    return sha256, hashlib.sha256(settings_text(access).encode()).hexdigest()


def look(connection: Connection, access: SshAccess) -> Found:
    """Raises Trouble, in the order in which an admin has to mend things."""
    told = _run(connection, access, "look", access.work)
    version = tuple(int(part) for part in told.get("python", ()))
    python = ".".join(map(str, version))
    if version < LEAST_PYTHON:
        raise _too_old(access, python)
    if told.get("link"):
        raise Trouble(
            Code.LINK,
            f"The work folder {access.work} is a link to {told['link']:.200}.",
            "Enter the folder that it leads to, or another.",
        )
    if told.get("problem"):
        if told.get("errno") in NO_ROOM:
            remedy = "Make room, or enter a work folder in another file system."
            raise Trouble(Code.DISK_FULL, f"The disk over there is full: {told['problem']}", remedy)
        words = f"The work folder cannot be written: {told['problem']:.300}"
        raise Trouble(Code.WORK, words, "Enter a folder that belongs to this user.")
    free = told.get("free_mib")
    return Found(
        work=str(told["work"]),
        python=python,
        free_mib=free if isinstance(free, int) else None,
        agent=str(told.get("agent", "")),
        settings=str(told.get("settings", "")),
    )


def _too_old(access: SshAccess, python: str) -> Trouble:
    return Trouble(
        Code.OLD_PYTHON,
        f"{access.python} over there is Python {python}; the agent needs 3.9 or later.",
        "Enter the path of a newer one, such as python3.11 or that of a module.",
    )


def install(connection: Connection, access: SshAccess) -> bool:
    """Put agent file and settings there where they differ; return whether anything did."""
    found = look(connection, access)
    agent, settings = digests(access)
    if found.agent != agent:
        path, _ = agent_file()
        _put(connection, access, found, path, AGENT, agent)
    if found.settings != settings:
        with tempfile.NamedTemporaryFile("w", dir=connection.folder, suffix=".ini") as draft:
            draft.write(settings_text(access))
            draft.flush()
            _put(connection, access, found, Path(draft.name), SETTINGS, settings)
    return (found.agent, found.settings) != (agent, settings)


def check(connection: Connection, access: SshAccess, *, timeout_s: float) -> list[str]:
    """Return the lines of the agent's own check over there. Raises Trouble."""
    agent, settings = (shell_path(f"{access.work}/{name}") for name in (AGENT, SETTINGS))
    remote = f"{shell_path(access.python)} {agent} --config {settings} check"
    answer = connection.run(remote, timeout_s=timeout_s)
    lines = [line for line in answer.out.splitlines() if line.startswith(("ok ", "MISSING "))]
    if not lines:
        said = answer.words.strip().removeprefix("labportal-agent: ")[-300:]
        raise Trouble(Code.SETTINGS, f"The agent over there says: {said}")
    return lines


def _put(
    connection: Connection, access: SshAccess, found: Found, source: Path, name: str, sha256: str
) -> None:
    draft = f"{name}.{secrets.token_hex(4)}.new"  # two may put it there at a time
    connection.put(source, f"{found.spool}/{draft}")
    told = _run(connection, access, "take", access.work, draft, name, sha256)
    if told.get("problem"):
        raise Trouble(Code.AGENT, f"{name} was not put in place: {told['problem']}")


def _run(connection: Connection, access: SshAccess, *arguments: str) -> dict[str, Any]:
    line = f"import base64;exec(base64.b64decode('{_script()}'))"
    words = [shell_path(access.python), *map(shlex.quote, ("-c", line, *arguments))]
    answer = connection.run(" ".join(words), timeout_s=LOOK_S)
    for said in reversed(answer.out.splitlines()):
        if said.startswith(MARK):
            try:
                return dict(json.loads(said.removeprefix(MARK)))
            except ValueError:
                break
    if answer.code in (126, 127):
        words = f"{access.python} is not found over there."
        remedy = "Enter the path of a Python 3.9 or later; ask the site for its module's path."
        raise Trouble(Code.NO_PYTHON, words, remedy)
    if "SyntaxError" in answer.err:
        raise _too_old(access, "2")
    raise Trouble(Code.AGENT, f"The look at the site failed: {answer.words[-300:]}")


@cache
def _script() -> str:
    text = Path(__file__).with_name("look.py").read_bytes()
    return base64.b64encode(text).decode()
