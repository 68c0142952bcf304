"""A person's configuration of their own in each test, and the command line as they would use it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bench.stack import PASSWORD, PERSON, Stack
from labportal.client.cli import program

Call = Callable[..., Result]
PEOPLE = """
import json, os
from labportal.accounts.models import User
for name, role in (("max", "moderator"), ("mia", "user"), ("root", "admin")):
    User.objects.create_user(name, password=os.environ["BENCH_PASSWORD"], role=role)
print(json.dumps(None))
"""


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABPORTAL_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LABPORTAL_PROFILE", raising=False)
    return tmp_path / "config"


@pytest.fixture
def labportal() -> Call:
    """`labportal("list", "--json", code=0)`: call it, and say which exit code it must have."""

    def call(*arguments: str, code: int = 0, said: str = "") -> Result:
        result = CliRunner().invoke(program, arguments, input=said, prog_name="labportal")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return call


def document(result: Result) -> Any:
    return json.loads(result.stdout)


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    with Stack(durable=False) as stack:
        stack.start_web()
        stack.start_worker()
        stack.start_agent(0, slots=2)
        stack.wait_for_agent(0)
        stack.python(PEOPLE)
        yield stack


def sign_in(labportal: Call, stack: Stack, person: str = PERSON, name: str = "") -> None:
    which = ["--portal", name] if name else []
    labportal("login", "--url", stack.url, *which, said=f"{person}\n{PASSWORD}\n")


@pytest.fixture
def signed_in(labportal: Call, stack: Stack) -> Call:
    sign_in(labportal, stack)
    return labportal
