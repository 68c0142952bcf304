"""The client against the portal's own description: every operation it names is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from drf_spectacular.generators import SchemaGenerator

import labportal.client
from labportal.client.cli import COMMANDS, program
from labportal.client.errors import Invalid
from labportal.client.schema import Schema

SOURCES = Path(labportal.client.__file__).parent
NAMED = re.compile(
    r"(?:call|pages|address|operation|offers)\(\s*\"(\w+)\"|operation_of\(app, \"(\w+)\"\)"
)
VERB = re.compile(r"(?:done\(app,|verb\()\s*\"(\w+)\"")


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema(SchemaGenerator().get_schema(request=None, public=True))


def named() -> set[str]:
    found = set()
    for file in SOURCES.rglob("*.py"):
        text = re.sub(r'""".*?"""', "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        found |= {a or b for a, b in NAMED.findall(text)}
        found |= {f"calculation_{verb}" for verb in VERB.findall(text)}
    return found


def test_every_operation_that_the_client_names_exists(schema: Schema) -> None:
    assert len(named()) > 30
    assert named() - set(schema.operations) == set()


def test_every_command_has_help_in_words_and_a_json_form() -> None:
    context = program.make_context("labportal", ["list"], resilient_parsing=True)
    for name in COMMANDS:
        command = program.get_command(context, name)
        assert command is not None and command.help
        each = getattr(command, "commands", {name: command})
        for one in each.values():
            options = {word for parameter in one.params for word in parameter.opts}
            assert "--json" in options or name == "completion", one.name


def test_it_starts_without_the_portal_and_what_only_calls_need() -> None:
    code = (
        "import sys\nfrom labportal.client.cli import main\n"
        "sys.argv = ['labportal', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "rooms = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(rooms & {'django', 'celery', 'rest_framework', 'calculations', 'clusters',"
        " 'httpx', 'rich', 'websockets'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"
    assert "submit" in done.stdout


def test_nothing_of_the_portal_is_imported_by_the_client_in_use() -> None:
    code = (
        "import sys, labportal.client\n"
        "from labportal.client import Portal, portal, live\n"
        "from labportal.client.cli import COMMANDS, account, files, following, looking, verbs\n"
        "rooms = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(rooms & {'django', 'celery', 'rest_framework', 'calculations'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_arguments_go_where_they_belong(schema: Schema) -> None:
    call = schema.operation("calculation_cancel").call({"id": 17, "note": "enough"}, schema)
    assert (call.method, call.path) == ("POST", "/api/v1/calculations/17/cancel/")
    assert (call.query, call.body) == ({}, {"note": "enough"})
    call = schema.operation("calculation_list").call({"state": "valid"}, schema)
    assert (call.query, call.body) == ({"state": "valid"}, None)


def test_a_name_in_a_path_cannot_lead_elsewhere(schema: Schema) -> None:
    call = schema.operation("cluster_retrieve").call({"name": "../users/1?x="}, schema)
    assert call.path == "/api/v1/clusters/..%2Fusers%2F1%3Fx%3D/"


@pytest.mark.parametrize(
    ("operation", "arguments", "field", "words"),
    [
        ("calculation_list", {"stat": "valid"}, "stat", "did you mean state"),
        ("calculation_retrieve", {}, "id", "is needed"),
        ("calculation_create", {"software": "noop"}, "name", "is needed"),
        ("calculation_create", {"name": "x", "software": 5}, "software", "kind string"),
        ("calculation_priority", {"id": 1, "priority": "high"}, "priority", "kind integer"),
        ("calculation_retry", {"id": 1, "runs": ["one"]}, "runs", "kind integer"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_sent(
    schema: Schema, operation: str, arguments: dict, field: str, words: str
) -> None:
    with pytest.raises(Invalid) as refused:
        schema.operation(operation).call(arguments, schema)
    assert words in refused.value.fields[field][0]


def test_an_operation_that_is_not_there_leads_to_the_one_that_is(schema: Schema) -> None:
    with pytest.raises(Invalid, match="Did you mean calculation_list"):
        schema.operation("calculations_list")
