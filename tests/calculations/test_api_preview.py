"""What a draft would run and cost, before it is stored; downloads that are taken up again."""

from __future__ import annotations

import io
from typing import Any

import pytest

from calculations.models import Calculation, OutputFile
from labportal.common.storage import storage
from tests.calculations.factories import submitted
from tests.calculations.rest import LIST, api, problem

pytestmark = pytest.mark.django_db
PREVIEW = f"{LIST}preview/"
NOOP = {"name": "x", "software": "noop"}


def asked(person: Any, **said: Any) -> Any:
    return api(person).post(PREVIEW, {**NOOP, **said})


def test_it_tells_runs_and_cost_and_stores_nothing(ada: Any) -> None:
    sweep = {"parameter": "value", "from": 0, "to": 1, "points": 3, "mode": "chain", "carry": ["a"]}
    answer = asked(ada, sweep=sweep, cores=4, walltime_s=3600).json()
    assert [(run["point"], run["continues"]) for run in answer["runs"]] == [
        ([0.0], None),
        ([0.5], 1),
        ([1.0], 2),
    ]
    assert answer["axes"] == [{"name": "value", "label": "Value", "unit": ""}]
    assert (answer["core_hours"], answer["longest_s"]) == (12.0, 3 * 3600)
    assert not Calculation.objects.exists()


def test_it_shows_the_input_files_of_a_run(ada: Any) -> None:
    files = asked(ada, software="pyscf", run=1).json()["files"]
    assert "input.json" in [file["name"] for file in files]


def test_it_names_what_is_wrong(ada: Any) -> None:
    answer = asked(ada, cores=0, parameters={"program": "rm"})
    problem(answer, 400, cores="must be between", parameters__program="")


@pytest.fixture
def address(ada: Any) -> str:
    run = submitted(ada).runs.get()
    storage().save("runs/a/output.out", io.BytesIO(b"0123456789"))
    file = OutputFile.objects.create(
        run=run, name="output.out", key="runs/a/output.out", size=10, sha256="0" * 64, attempt=1
    )
    return f"/api/v1/runs/{run.pk}/files/{file.pk}/"


@pytest.mark.parametrize(
    ("span", "status", "body", "place"),
    [
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=2-4", 200, b"0123456789", None),
        ("lines=1-", 200, b"0123456789", None),
        ("", 200, b"0123456789", None),
    ],
)
def test_a_download_is_taken_up_where_it_broke_off(
    ada: Any, address: str, span: str, status: int, body: bytes, place: str | None
) -> None:
    answer = api(ada).get(address, headers={"Range": span} if span else {})
    assert answer.status_code == status
    assert (b"".join(answer.streaming_content) if answer.streaming else answer.content) == body
    assert answer.get("Content-Range") == place
