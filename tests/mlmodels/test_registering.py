"""The forms of models: what is entered badly is said beside its field, with the remedy, and nothing
is kept; what is entered well becomes a model with its first version.
"""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import given
from hypothesis import strategies as st

from mlmodels.fields import CommandField, DocumentField, EnvironmentField
from mlmodels.forms import RegisterForm, SettingsForm
from mlmodels.models import ModelVersion, RegisteredModel
from mlmodels.services.versions import secrets_of
from tests.mlmodels import factories
from tests.mlmodels.test_pages import post, text, told

GOOD = {
    "name": "redshift",
    "description": "Photometric redshifts.",
    "runtime": "container",
    "image": "lab/redshift:2",
    "accepts": "application/json, text/csv",
    "example": '{"x": 1}',
    "input_schema": '{"type": "object"}',
    "environment": "# threads\nOMP_NUM_THREADS=4\n",
    "secrets": "TOKEN=abc=def",
    "cores": "2",
    "memory_mib": "2048",
    "gpus": "0",
    "startup_s": "480",
    "read_only_root": "on",
    "replicas_wanted": "1",
    "time_zone": "UTC",
}


def archive(name: str = "weights.bin", *, link: str = "") -> SimpleUploadedFile:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        if link:
            member.type, member.linkname = tarfile.SYMTYPE, link
        tar.addfile(member, io.BytesIO(b""))
    return SimpleUploadedFile("model.tar.gz", content.getvalue(), "application/gzip")


def errors(**changes: Any) -> dict[str, str]:
    """What the form and the services say of a registration with these changes."""
    form = RegisterForm({**GOOD, **changes})
    form.is_valid()
    return {name: " ".join(texts) for name, texts in form.errors.items()}


def test_a_model_and_its_first_version_come_from_one_form(ada: Any) -> None:
    answer = post(ada, "/models/new/", **GOOD, files=archive())
    assert answer["Location"] == "/models/redshift/"
    version = ModelVersion.objects.get(model__name="redshift")
    assert version.accepts == ["application/json", "text/csv"]
    assert version.environment == {"OMP_NUM_THREADS": "4"}
    assert secrets_of(version) == {"TOKEN": "abc=def"}
    assert version.files_name == "model.tar.gz"
    assert not version.approved


def test_whoever_approves_versions_may_start_at_once(max: Any) -> None:
    answer = post(max, "/models/new/", **GOOD)
    assert "Start it" in told(answer)
    assert ModelVersion.objects.get().approved_by == max


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("environment", "A=1\nB", "Line 2 is not of the form NAME=value."),
        ("environment", "A=1\nA=2", "Line 2 sets A a second time."),
        ("input_schema", '{"type": }', "line 1, column 10"),
        ("input_schema", "[1]", "A JSON Schema is an object"),
        ("input_schema", "[" * 5000, "This is"),
        ("command", "python 'serve.py", "A quotation mark is not closed."),
        ("accepts", "json", "is no content type such as application/json"),
        ("cores", "0", "greater than or equal to 1"),
        ("startup_s", "20", "greater than or equal to 60"),
        ("clusters", ["99"], "not one of the available choices"),
    ],
)
def test_what_is_no_value_of_a_field_is_said_beside_it(
    db: None, field: str, value: Any, words: str
) -> None:
    said = errors(**{field: value})
    assert list(said) == [field]
    assert words in said[field]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "Red Shift"}, "name"),
        ({"name": "new"}, "name"),
        ({"name": "red;rm -rf /"}, "name"),
        ({"image": ""}, "image"),
        ({"image": "--privileged"}, "image"),
        ({"image": "lab/x;reboot"}, "image"),
        ({"runtime": "process", "folder": "../etc", "command": "python serve"}, "folder"),
        ({"runtime": "process", "folder": "/srv/m", "command": ""}, "command"),
        ({"environment": "LD-PRELOAD=x"}, "environment"),
        ({"secrets": "PORT=1"}, "secrets"),
        ({"example": "not json"}, "example"),
        ({"input_schema": '{"type": "nothing"}'}, "input_schema"),
        ({"stop_at": "25:00", "start_at": "07:00", "days": ["0"]}, "stop_at"),
        ({"stop_at": "20:00"}, "stop_at"),
    ],
)
def test_what_may_not_be_is_said_beside_its_field_and_nothing_is_made(
    ada: Any, changes: dict[str, Any], field: str
) -> None:
    answer = post(ada, "/models/new/", **{**GOOD, **changes})
    assert answer.status_code == 400
    assert field in answer.context["form"].errors
    assert f'id="id_{field}_error"' in answer.content.decode()
    assert not RegisteredModel.objects.exists()


def test_what_is_wrong_in_several_places_is_said_at_once(ada: Any) -> None:
    answer = post(ada, "/models/new/", **{**GOOD, "image": "-x", "secrets": "PORT=1"})
    assert set(answer.context["form"].errors) == {"image", "secrets"}


def test_files_that_are_refused_leave_the_model_and_ask_for_its_version_anew(ada: Any) -> None:
    answer = post(ada, "/models/new/", **GOOD, files=archive("weights", link="/etc/passwd"))
    assert answer["Location"] == "/models/redshift/versions/new/"
    assert "is registered, its version is not" in told(answer)
    assert RegisteredModel.objects.get().versions.count() == 0


def test_a_name_that_is_taken_is_said_so(ada: Any) -> None:
    factories.registered(ada, "redshift")
    answer = post(ada, "/models/new/", **GOOD)
    assert answer.context["form"].errors["name"] == ["There is a model of this name already."]


def test_hours_are_kept_in_the_zone_that_was_chosen(ada: Any) -> None:
    hours = {"start_at": "07:00", "stop_at": "20:00", "days": ["0", "4"]}
    post(ada, "/models/new/", **{**GOOD, **hours, "time_zone": "Europe/Berlin"})
    assert RegisteredModel.objects.get().schedule == {
        "start_at": "07:00",
        "stop_at": "20:00",
        "days": [0, 4],
        "time_zone": "Europe/Berlin",
    }


def test_the_next_version_begins_with_what_the_last_one_is(ada: Any) -> None:
    post(ada, "/models/new/", **GOOD, files=archive())
    body = text(ada, "/models/redshift/versions/new/")
    for words in ("lab/redshift:2", "OMP_NUM_THREADS=4", "TOKEN=", "model.tar.gz"):
        assert words in body
    kept = {**GOOD, "image": "lab/redshift:3", "secrets": "TOKEN=", "keep_files": "on"}
    post(ada, "/models/redshift/versions/new/", **kept)
    first, second = ModelVersion.objects.order_by("number")
    assert (second.image, second.files_key) == ("lab/redshift:3", first.files_key)
    assert secrets_of(second) == {"TOKEN": "abc=def"}


def test_another_runtime_forgets_what_belonged_to_the_one_before(ada: Any) -> None:
    post(ada, "/models/new/", **GOOD)
    changed = {**GOOD, "runtime": "process", "folder": "/srv/redshift", "command": "python serve"}
    post(ada, "/models/redshift/versions/new/", **changed)
    version = ModelVersion.objects.get(number=2)
    assert (version.image, version.command) == ("", ["python", "serve"])


def test_the_settings_change_what_needs_no_version(ada: Any) -> None:
    model = factories.registered(ada, "echo")
    values = {
        name: value
        for name, value in SettingsForm.values_of(model).items()
        if value and name not in ("clusters", "days")
    }
    post(ada, "/models/echo/edit/", **{**values, "timeout_s": "90", "stores_bodies": "on"})
    model.refresh_from_db()
    assert (model.timeout_s, model.stores_bodies) == (90, True)
    wrong = post(ada, "/models/echo/edit/", **{**values, "timeout_s": "0"})
    assert wrong.status_code == 400
    assert 'id="id_timeout_s_error"' in wrong.content.decode()


NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
LINES = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20)


@given(st.dictionaries(NAMES, LINES, max_size=5))
def test_an_environment_is_read_back_as_it_is_shown(variables: dict[str, str]) -> None:
    field = EnvironmentField(required=False, strip=False)
    assert field.to_python(field.prepare_value(variables)) == variables


@given(st.lists(LINES, max_size=5))
def test_a_command_is_read_back_as_it_is_shown(words: list[str]) -> None:
    field = CommandField(required=False)
    assert field.to_python(field.prepare_value(words)) == words


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4))
def test_a_document_is_read_back_as_it_is_shown(document: dict[str, Any]) -> None:
    field = DocumentField(required=False)
    assert field.to_python(field.prepare_value(document)) == document
