"""Files and runs in the REST interface: what is put and refused, what is downloaded by whom."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from calculations.models import Calculation, OutputFile, Run
from calculations.services import drafts
from clusters import placement
from labportal.common.clock import now
from labportal.common.storage import storage
from tests.calculations.factories import draft, submitted
from tests.calculations.rest import api, at, problem
from tests.clusters.factories import Agent, cluster, finished
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def done(ada: Any, root: Any) -> Run:
    """A run that ended well, with a quantity."""
    agent = Agent(cluster(), root)
    calculation = submitted(ada)
    placement.place()
    agent.exchange()
    run = calculation.runs.get()
    agent.tell(run.pk, "finished", **finished(value=-465.8))
    agent.exchange()
    return Run.objects.get()


def put(person: Any, calculation: Calculation, name: str, content: bytes = b"x") -> Any:
    return api(person).put(
        f"{at(calculation)}files/{name}/", content, content_type="application/octet-stream"
    )


def stored(root: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in root.rglob("*") if path.is_file())


def test_a_file_is_put_replaced_and_deleted(ada: Any, files_dir: Path) -> None:
    calculation = draft(ada)
    answer = put(ada, calculation, "O.psf", b"pseudo")
    assert answer.status_code == 201
    assert (answer.json()["name"], answer.json()["size"]) == ("O.psf", 6)
    assert put(ada, calculation, "O.psf", b"better").status_code == 201
    assert stored(files_dir) == [b"better", b"pseudo"]  # deleted on commit, which no test has
    assert [f["size"] for f in api(ada).get(at(calculation)).json()["input_files"]] == [6]
    assert api(ada).delete(f"{at(calculation)}files/O.psf/").status_code == 204
    assert api(ada).get(at(calculation)).json()["input_files"] == []


def test_what_is_replaced_or_deleted_is_kept_no_longer(
    ada: Any, files_dir: Path, django_capture_on_commit_callbacks: Any
) -> None:
    calculation = draft(ada)
    with django_capture_on_commit_callbacks(execute=True):
        put(ada, calculation, "O.psf", b"old")
        put(ada, calculation, "O.psf", b"new")
    assert stored(files_dir) == [b"new"]
    copy = drafts.duplicate(calculation, actor=ada)
    with django_capture_on_commit_callbacks(execute=True):
        api(ada).delete(f"{at(calculation)}files/O.psf/")
    assert stored(files_dir) == [b"new"], "the copy needs it"
    with django_capture_on_commit_callbacks(execute=True):
        api(ada).delete(at(copy))
    assert stored(files_dir) == [b"new"], "a draft in the bin keeps its files"
    Calculation.objects.filter(pk=copy.pk).update(deleted_at=now() - timedelta(days=31))
    with django_capture_on_commit_callbacks(execute=True):
        drafts.empty_bin()
    assert stored(files_dir) == []


@pytest.mark.parametrize(
    "name",
    [".hidden", "-rf", "..", "a%5Cb", "a%00b", "a%0Ab", "a:b", "x" * 121, "a%2Fb", "%2E%2E%2Fup"],
)
def test_a_name_that_is_not_safe(ada: Any, files_dir: Path, name: str) -> None:
    calculation = draft(ada)
    assert put(ada, calculation, name).status_code in (400, 404)
    assert not calculation.input_files.exists()
    assert stored(files_dir) == []


def test_a_file_that_is_too_large(ada: Any, files_dir: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(drafts, "MAX_INPUT_FILE", 2**20)
    calculation = draft(ada)
    assert put(ada, calculation, "O.psf", b"x" * 2**20).status_code == 201
    problem(put(ada, calculation, "H.psf", b"x" * (2**20 + 1)), 413, "too-large")
    assert len(stored(files_dir)) == 1
    assert calculation.input_files.count() == 1


def test_too_many_files(ada: Any, files_dir: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(drafts, "MAX_INPUT_FILES", 1)
    calculation = draft(ada)
    put(ada, calculation, "a.txt")
    problem(put(ada, calculation, "b.txt"), 400, "invalid", files="at most 1")
    assert put(ada, calculation, "a.txt").status_code == 201


def test_a_body_of_unknown_length_is_refused_rather_than_stored_empty(ada: Any) -> None:
    address = f"{at(draft(ada))}files/a.txt/"
    sent = api(ada).put(
        address, b"", content_type="text/plain", headers={"transfer-encoding": "chunked"}
    )
    problem(sent, 411, "length")


def test_files_of_what_was_submitted_stay(ada: Any, files_dir: Path) -> None:
    calculation = submitted(ada)
    problem(put(ada, calculation, "a.txt"), 409, "wrong-moment")
    problem(api(ada).delete(f"{at(calculation)}files/a.txt/"), 409)
    assert stored(files_dir) == []


def test_a_run_shows_its_attempts_and_results(done: Run, ada: Any) -> None:
    detail = api(ada).get(f"/api/v1/runs/{done.pk}/").json()
    assert (detail["state"], detail["attempt"], detail["cluster"]) == ("valid", 1, "metis")
    assert [(q["name"], q["value"], q["unit"]) for q in detail["quantities"]] == [
        ("energy", -465.8, "eV")
    ]
    (attempt,) = detail["attempts"]
    assert (attempt["number"], attempt["code"], attempt["exit_code"]) == (1, "converged", 0)
    whole = api(ada).get(at(done.calculation)).json()
    assert whole["runs"][0]["quantities"] == detail["quantities"]


def test_a_file_of_a_run_is_downloaded_by_who_may_see_it(done: Run, ada: Any, eve: Any) -> None:
    size, sha256 = storage().save("outputs/x", io.BytesIO(b"the output"))
    file = OutputFile.objects.create(
        run=done, attempt=1, name="output.out", size=size, sha256=sha256, key="outputs/x"
    )
    address = f"/api/v1/runs/{done.pk}/files/{file.pk}/"
    answer = api(ada).get(address)
    assert b"".join(answer.streaming_content) == b"the output"
    assert answer["Content-Disposition"] == 'attachment; filename="output.out"'
    listed = api(ada).get(f"/api/v1/runs/{done.pk}/").json()["output_files"]
    assert [(f["id"], f["size"]) for f in listed] == [(file.pk, 10)]

    storage().delete("outputs/x")
    problem(api(ada).get(address), 404, "file-gone")
    problem(api(ada).get(f"/api/v1/runs/{done.pk}/files/{file.pk + 1}/"), 404)
    other = submitted(ada).runs.get()
    problem(api(ada).get(f"/api/v1/runs/{other.pk}/files/{file.pk}/"), 404)
    Calculation.objects.filter(pk=done.calculation_id).update(
        project=ProjectFactory(private=True, members=[ada])
    )
    problem(api(eve).get(address), 404)
