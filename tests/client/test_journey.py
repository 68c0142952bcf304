"""The command line against a whole portal: web, worker and an agent that runs PySCF."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from bench.stack import PASSWORD, PERSON, Stack
from labportal.client import Portal, live, transfer
from labportal.client.errors import NotSignedIn
from labportal.client.profiles import Profiles
from tests.client.conftest import Call, document, sign_in

pytest.importorskip("pyscf")
pytestmark = [pytest.mark.xdist_group("client"), pytest.mark.timeout(180)]

WATER = "3\nwater\nO 0 0 0.119\nH 0 0.763 -0.477\nH 0 -0.763 -0.477\n"
JOB = """
name = "Water in a field"
software = "pyscf"
structure = "water.xyz"
walltime_s = 300
[parameters]
basis = "sto-3g"
[sweep]
parameter = "field_z"
from = 0.0
to = 0.02
points = 3
mode = "chain"
"""


def test_from_signing_in_to_the_files_on_ones_disk(
    labportal: Call, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labportal("whoami", code=3)
    labportal("login", "--url", stack.url, said=f"{PERSON}\nwrong\n", code=3)
    sign_in(labportal, stack)
    assert document(labportal("whoami", "--json"))["username"] == PERSON

    (tmp_path / "water.xyz").write_text(WATER)
    (tmp_path / "job.toml").write_text(JOB)
    job = str(tmp_path / "job.toml")
    plan = document(labportal("submit", job, "--dry-run", "--json"))
    assert [run["continues"] for run in plan["runs"]] == [None, 1, 2]
    assert "input.json" in [file["name"] for file in plan["files"]]

    done = labportal("submit", job, "--wait", "--json")
    made = document(done)
    assert (made["state"], made["run_count"]) == ("valid", 3)
    number = made["number"]
    assert document(labportal("watch", number, "--json"))["state"] == "valid"
    assert number in labportal("list", "--state", "valid").stdout
    assert "field" in labportal("show", number, "--events").stdout

    rows = list(csv.DictReader(io.StringIO(labportal("results", number, "--form", "csv").stdout)))
    assert len(rows) == 3 and "Total energy / eV" in rows[0]
    found = document(labportal("results", number, "--quantities", "--json"))
    assert "polarizability" in [each["name"] for each in found]
    assert number in labportal("analyses", "--columns", "polarizability").output
    scf = document(labportal("results", number, "--run", "1", "--dataset", "scf", "--json"))
    assert scf["kind"] == "series"

    assert "SCF converged" in labportal("logs", number, "--run", "2", "--follow").stdout
    assert "SCF" in labportal("logs", number, "--run", "1", "--tail", "5").stdout
    labportal("logs", number, code=2)

    target = tmp_path / "files"
    listed = document(labportal("fetch", number, "*.json", "--list", "--json"))
    whole = labportal("fetch", number, "*.json", "--to", str(target))
    assert len(whole.stdout.split()) == len(listed)
    one = target / "run-1" / "results.json"
    assert json.loads(one.read_text())["converged"] is True
    _resumes(labportal, number, one, target, monkeypatch)
    report = labportal("fetch", number, "--report", "pdf", "--to", str(target)).stdout.strip()
    assert Path(report).read_bytes().startswith(b"%PDF")

    copy = document(labportal("duplicate", number, "--json"))["number"]
    compared = document(labportal("compare", number, copy, "--json"))
    lines = {each["name"]: each for part in compared["sections"] for each in part["lines"]}
    assert lines["polarizability"]["values"][0] > 0
    assert lines["polarizability"]["values"][1] is None
    assert number in labportal("compare", number, copy).stdout
    labportal("compare", number, code=2)
    labportal("delete", copy, "--yes")
    labportal("show", copy, code=4)

    copies = [document(labportal("duplicate", number, "--json"))["number"] for _ in range(2)]
    told = document(labportal("bulk", "delete", *copies, "--json"))
    assert told["done"] == 2
    labportal("show", copies[0], code=4)
    assert "2 back from the bin" in labportal("undo", told["undo"]).stdout
    labportal("show", copies[0])
    labportal("undo", "nonsense", code=2)

    labportal("logout")
    labportal("list", code=3)


def _resumes(
    labportal: Call, number: str, one: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What broke off goes on where it ended; what is damaged is refused."""
    content = one.read_bytes()
    one.unlink()
    part = one.with_name("results.json.part")
    part.write_bytes(content[:100])
    asked: list[dict[str, str]] = []
    monkeypatch.setattr(transfer, "_receive", _told(transfer._receive, asked), raising=True)
    labportal("fetch", number, "results.json", "--run", "1", "--to", str(target))
    assert one.read_bytes() == content and not part.exists()
    assert asked == [{"there": "100"}]
    one.unlink()
    part.write_bytes(b"x" * 100)
    damaged = labportal("fetch", number, "results.json", "--run", "1", "--to", str(target), code=1)
    assert "damaged" in damaged.stderr and not one.exists() and not part.exists()


def _told(function: Any, asked: list[dict[str, str]]) -> Any:
    def receive(transport: Any, path: str, part: Path, *rest: Any) -> Any:
        asked.append({"there": str(part.stat().st_size if part.exists() else 0)})
        return function(transport, path, part, *rest)

    return receive


def test_the_exit_code_says_how_it_ended(signed_in: Call) -> None:
    failed = signed_in("submit", "-s", "noop", "--set", "program=false", "--wait", code=1)
    assert "failed" in failed.output
    number = document(signed_in("list", "-n", "1", "--json"))[0]["number"]
    signed_in("results", number, code=1)
    signed_in("retry", number)
    wrong = signed_in("submit", "-s", "noop", "--set", "progam=true", code=2)
    assert "known are value, program, seconds" in wrong.stderr
    error = signed_in("show", "999999", "--json", code=4)
    assert json.loads(error.stderr)["exit_code"] == 4
    signed_in("show", "water", code=2)
    signed_in("sumbit", code=2)


def test_a_calculation_is_cancelled_and_cannot_be_twice(signed_in: Call) -> None:
    made = signed_in("submit", "-s", "noop", "--set", "program=sleep", "--name", "long")
    number = made.stdout.strip()
    signed_in("cancel", number, "--note", "enough")
    assert document(signed_in("watch", number, "--json", code=1))["state"] == "cancelled"
    signed_in("cancel", number, code=5)


def test_a_second_person_reviews_and_vouches(labportal: Call, stack: Stack) -> None:
    sign_in(labportal, stack, PERSON, "mine")
    sign_in(labportal, stack, "max", "moderator")
    assert {row["portal"] for row in document(labportal("portals", "--json"))} == {
        "mine",
        "moderator",
    }
    mine, moderator = ("--portal", "mine"), ("--portal", "moderator")
    big = ("--cores", "4", "--walltime", "3600000")
    number = labportal("submit", "-s", "noop", "--name", "big", *big, *mine).stdout.strip()
    labportal("approve", number, *mine, code=3)
    labportal("send-back", number, "--note", "smaller", *moderator)
    assert document(labportal("show", number, "--json", *mine))["state"] == "draft"
    small = labportal("submit", "-s", "noop", "--name", "x", "--wait", "--json", *mine)
    number = document(small)["number"]
    labportal("validate", number, *mine, code=3)
    labportal("validate", number, *moderator)
    labportal("retract", number, "--note", "wrong cell", *mine)
    assert document(labportal("show", number, "--json", *mine))["standing"] == "retracted"
    labportal("restore", number, "--note", "right after all", *moderator)
    labportal("keep", number, *mine)


def test_structures_exports_and_analyses(signed_in: Call, tmp_path: Path) -> None:
    file = tmp_path / "ammonia.xyz"
    file.write_text("4\n\nN 0 0 0.1\nH 0 0.9 -0.2\nH 0.8 -0.5 -0.2\nH -0.8 -0.5 -0.2\n")
    kept = document(signed_in("structures", "add", str(file), "--tag", "test", "--json"))[0]
    again = document(signed_in("structures", "add", str(file), "--json"))[0]
    assert kept["id"] == again["id"] and kept["formula"] == "H3N"
    assert "H3N" in signed_in("structures", "list", "--formula", "NH3").stdout
    assert signed_in("structures", "get", kept["number"], "--format", "xyz").stdout[0] == "4"
    signed_in("structures", "get", kept["number"], "--format", "cif", code=2)

    names = signed_in("analyses", "--software", "pyscf").stdout
    assert "polarizability" in names
    kinds = [kind["name"] for kind in document(signed_in("export", "--json"))]
    assert kinds
    made = signed_in("submit", "-s", "noop", "--name", "x", "--wait", "--json")
    of_one = next(k for k in document(signed_in("export", "--json")) if k["of"] == "calculation")
    place = signed_in(
        "export", of_one["name"], document(made)["number"], "--to", str(tmp_path)
    ).stdout.strip()
    assert Path(place).stat().st_size > 0
    assert "cluster-0" in signed_in("clusters").stdout


def test_an_admin_drains_a_cluster_and_who_signs_in_reads_what_is_announced(
    labportal: Call, stack: Stack
) -> None:
    sign_in(labportal, stack, "root", "root")
    admin = ("--portal", "root")
    note = ("--note", "disks until Friday")
    assert (
        "disks until Friday"
        in labportal("clusters", "cluster-0", "--do", "drain", *note, *admin).output
    )
    assert "drained: disks until Friday" in labportal("clusters", *admin).stdout
    labportal("clusters", "--do", "enable", *admin, code=2)
    labportal("clusters", "cluster-0", "--do", "enable", *note, *admin, code=2)
    labportal("clusters", "cluster-0", "--do", "update-agent", *admin, code=5)
    assert "online" in labportal("clusters", "cluster-0", "--do", "enable", *admin).output
    sign_in(labportal, stack)
    labportal("clusters", "cluster-0", "--do", "drain", code=3)
    root = Portal.sign_in(stack.url, "root", PASSWORD)
    root.call("announcement_create", text="No GPUs today", cluster="cluster-0")
    said = f"{PERSON}\n{PASSWORD}\n"
    told = labportal("login", "--url", stack.url, said=said)
    assert "cluster-0: No GPUs today" in told.output


def test_templates_search_and_pseudopotentials(signed_in: Call, tmp_path: Path) -> None:
    sweep = ("--sweep", "value=1,2,3")
    made = signed_in("submit", "-s", "noop", "--name", "pattern", *sweep, "--wait", "--json")
    number = document(made)["number"]
    kept = signed_in("templates", "--save", number, "--name", "three values").stdout.strip()
    assert "three values" in signed_in("templates").stdout
    again = document(signed_in("submit", "--template", "three values", "--wait", "--json"))
    assert (again["run_count"], again["state"]) == (3, "valid")
    signed_in("submit", "--template", "no such", code=2)
    signed_in("templates", "--delete", kept)

    found = document(signed_in("search", "valid", "noop", "pattern", "--json"))
    assert number in [row["number"] for row in found["groups"]["calculations"]["rows"]]
    assert number in signed_in("search", "state:valid", "--in", "calculations").stdout
    signed_in("search", "gap>", code=2)

    extended = document(signed_in("extend", number, "value=4", "--dry-run", "--json"))
    assert [run["point"] for run in extended["runs"]] == [[4.0]]

    broken = tmp_path / "O.psf"
    broken.write_text("no pseudopotential\n")
    refused = signed_in("pseudopotentials", "add", "mine", str(broken), code=2)
    assert "O.psf" in refused.stderr
    assert signed_in("pseudopotentials", "list", "--json").stdout.strip() == "[]"


def test_a_notebook_submits_waits_and_reads(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    hear = live.Socket.hear

    def listen(socket: live.Socket, seconds: float) -> list[dict[str, Any]]:
        events = hear(socket, seconds)
        heard.extend(event["type"] for event in events)
        return events

    monkeypatch.setattr(live.Socket, "hear", listen)
    portal = Portal.sign_in(stack.url, PERSON, PASSWORD)
    sweep = {"parameter": "value", "values": [1.0, 2.0]}
    seen: list[str] = []
    slow = {"program": "sleep", "seconds": 1.5}  # time enough to hear of it
    made = portal.submit(name="two", software="noop", parameters=slow, sweep=sweep)
    made.wait(60, told=lambda calculation: seen.append(calculation.state))
    assert (made.state, seen[-1]) == ("valid", "valid")
    assert {"run.changed", "calculation.changed"} <= set(heard)
    assert [row["value"] for row in made.results()] == [1.0, 2.0]
    assert made.runs[0].quantities["exit_code"] == 0
    frame = made.frame()
    assert list(frame["value"]) == [1.0, 2.0]
    assert [each.id for each in portal.calculations(text="two", limit=1)] == [made.id]
    assert portal.calculation(made.url).id == made.id


def test_without_the_socket_it_asks_again_and_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise live.Lost("closed by a proxy")

    monkeypatch.setattr(live, "Socket", closed)
    monkeypatch.setattr(live, "POLL_S", 0.1)
    portal = Portal.sign_in(stack.url, PERSON, PASSWORD)
    assert portal.submit(name="polled", software="noop").wait(60).state == "valid"


def test_a_program_that_was_revoked_must_sign_in_again(signed_in: Call) -> None:
    portal = Portal()
    for program in portal.call("me_sign_ins")["programs"]:
        assert program["name"].startswith("labportal-client/")
        portal.call("me_programs_destroy", grant_id=program["id"])
    with pytest.raises(NotSignedIn):
        Portal().call("me")
    assert "labportal login" in signed_in("whoami", code=3).stderr


def test_a_refresh_token_is_taken_from_standard_input(
    signed_in: Call, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh = Profiles().get().refresh
    monkeypatch.setenv("LABPORTAL_CONFIG", str(tmp_path / "elsewhere"))
    signed_in("login", "--url", stack.url, "--token", said=f"{refresh}\n")
    assert document(signed_in("whoami", "--json"))["username"] == PERSON


MODEL = """
import json, os
from labportal.accounts.models import User
from mlmodels.services import models, versions
person = User.objects.get(username=os.environ["BENCH_PERSON"])
admin = User.objects.get(username="admin")
model = models.register(name="echo", description="Says it back.", actor=person)
runs = {"runtime": "container", "image": "lab/echo:1", "gpus": 64}
version = versions.add_version(model, actor=person, **runs)
versions.approve(version, actor=admin)
print(json.dumps(None))
"""


def test_a_model_is_looked_at_started_and_stopped(signed_in: Call, stack: Stack) -> None:
    stack.python(MODEL)
    states = {row["name"]: row["state"] for row in document(signed_in("models", "list", "--json"))}
    assert states["echo"] == "stopped"
    assert "echo: waiting" in signed_in("models", "start", "echo").stderr
    shown = signed_in("models", "show", "echo", "--versions", "--events").stdout
    for words in ("echo: waiting", "Says it back.", "lab/echo:1", "start v1"):
        assert words in shown
    assert "echo: stopped" in signed_in("models", "stop", "echo", "-m", "no GPUs").stderr
    assert signed_in("models", "logs", "echo").stdout == ""
    signed_in("models", "roll-back", "echo", code=5)
    signed_in("models", "show", "nothing", code=4)
