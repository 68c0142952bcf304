"""The description of the REST interface: whole, stable names, told apart by its tag."""

import subprocess
import sys
from collections import Counter

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from labportal import api

PLACE = "/api/v1/schema/"
VERBS = ("get", "post", "put", "patch", "delete")
NAMES = {
    ("/api/v1/calculations/", "get"): "calculation_list",
    ("/api/v1/calculations/", "post"): "calculation_create",
    ("/api/v1/calculations/{id}/", "get"): "calculation_retrieve",
    ("/api/v1/calculations/{id}/send-back/", "post"): "calculation_send_back",
    ("/api/v1/calculations/{id}/files/{name}/", "put"): "calculation_files_put",
    ("/api/v1/calculations/{id}/files/{name}/", "delete"): "calculation_files_delete",
    ("/api/v1/calculations/{id}/report.pdf", "get"): "calculation_report_pdf",
    ("/api/v1/datasets/{id}.csv", "get"): "dataset_csv",
    ("/api/v1/me/sign-ins/", "get"): "me_sign_ins",
    ("/api/v1/auth/token/", "post"): "auth_token",
}


def names() -> dict[tuple[str, str], str]:
    document = SchemaGenerator().get_schema(request=None, public=True)
    return {
        (path, verb): operation["operationId"]
        for path, operations in document["paths"].items()
        for verb, operation in operations.items()
        if verb in VERBS
    }


def test_it_is_valid_and_nothing_had_to_be_guessed(tmp_path) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yml"))


def test_operations_have_readable_names_that_stay() -> None:
    found = names()
    assert {place: found[place] for place in NAMES} == NAMES
    assert all(name.replace("_", "").isalnum() and "__" not in name for name in found.values())


def test_no_name_stands_for_two_operations() -> None:
    assert max(Counter(names().values()).values()) == 1


@pytest.mark.django_db
def test_a_client_that_has_it_is_not_sent_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Client().get(PLACE, headers={"Accept": "application/json"})
    assert first.status_code == 200 and first.json()["info"]["title"] == "Labportal"
    again = Client().get(PLACE, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    monkeypatch.setattr(api, "schema_tag", lambda: '"newer"')
    assert Client().get(PLACE, headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_shared_tasks_bind_to_the_application_of_the_portal() -> None:
    code = (
        "import django; django.setup()\n"
        "from calculations.tasks import follow_up as task\n"
        "print(task.app.main, task.app.conf.task_serializer)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["labportal", "json"]
