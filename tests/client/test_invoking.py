"""Models called from the command line, through the proxy and through the worker's event loop."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from bench.stack import Stack
from labportal.client import Portal, invoking
from tests.client.conftest import Call, document

pytestmark = [pytest.mark.xdist_group("client"), pytest.mark.timeout(180)]

READY = """
import json
from clusters.models import Cluster
from labportal.accounts.models import User
from mlmodels.models import ModelVersion, RegisteredModel, Replica
admin = User.objects.get(username="admin")
model = RegisteredModel.objects.create(
    name="mirror", created_by=admin, desired="running", state="ready")
version = ModelVersion.objects.create(
    model=model, number=1, runtime="process", folder="/", command=["serve"], created_by=admin,
    accepts=["application/json", "text/csv"])
model.current = model.serving = version
model.save()
# On a cluster without an agent, which would make it come true or not.
site = Cluster.objects.create(name="elsewhere")
Replica.objects.create(version=version, cluster=site, state="ready",
                       address="127.0.0.1:%d", told_generation=1)
print(json.dumps(None))
"""


class Mirror(BaseHTTPRequestHandler):
    """Answers what it was asked, in capitals."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).upper()
        self.send_response(200 if body != b"BAD" else 422)
        self.send_header("Content-Type", self.headers["Content-Type"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def mirror(stack: Stack) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.python(READY % server.server_port)
    stack.start_carriers()
    yield "mirror"
    stack.stop("carriers")
    server.shutdown()


def test_a_model_is_called_from_the_command_line(
    signed_in: Call, mirror: str, tmp_path: Path
) -> None:
    said = signed_in("models", "invoke", mirror, "--body", '{"x": "a"}')
    assert said.stdout == '{"X": "A"}'
    assert signed_in("models", "invoke", mirror, said='{"y": 1}').stdout == '{"Y": 1}'
    table, answer = tmp_path / "table.csv", tmp_path / "answer.csv"
    table.write_text("a,b\n")
    told = signed_in("models", "invoke", mirror, str(table), "--output", str(answer))
    assert answer.read_text() == "A,B\n"
    assert "text/csv" in told.stderr
    (tmp_path / "picture.png").write_bytes(b"x")
    refused = signed_in("models", "invoke", mirror, str(tmp_path / "picture.png"), code=2)
    assert "text/csv, not image/png" in refused.stderr
    signed_in("models", "invoke", "nobody", "--body", "{}", code=4)
    signed_in("models", "invoke", mirror, "--body", "bad", "--type", "text/csv", code=2)
    signed_in("models", "invoke", mirror, "--body", "{}", "--version", "7", code=4)


def test_a_call_is_queued_and_its_answer_fetched(signed_in: Call, mirror: str) -> None:
    """Through the broker, the worker's loop and the file store."""
    later = ("models", "invoke", mirror, "--body", '{"z": 2}', "--later")
    assert signed_in(*later, "--wait").stdout == '{"Z": 2}'
    queued = document(signed_in(*later, "--json"))
    assert invoking.wait(Portal(), queued).value == {"Z": 2}
    rows = document(signed_in("models", "calls", mirror, "--json"))
    assert [row["state"] for row in rows] == ["done", "done"]
    short = queued["id"][:8]
    assert short in signed_in("models", "calls", mirror, "--state", "done").stdout
    assert signed_in("models", "calls", mirror, "--fetch", short).stdout == '{"Z": 2}'
    signed_in("models", "calls", mirror, "--cancel", short, code=5)
    bad = ("models", "invoke", mirror, "--body", "bad", "--type", "text/csv", "--later", "--wait")
    assert "answered 422" in signed_in(*bad, code=1).stderr


class Fake:
    """A portal that notes what is asked, and whose calls are queued for ever."""

    def __init__(self) -> None:
        self.transport, self.asked = self, []

    def request(self, method: str, path: str, **options: object) -> httpx.Response:
        self.asked.append((method, path, options.get("params")))
        queued = {"url": f"{path}/1", "state": "queued", "model": "slow", "why": ""}
        return httpx.Response(200, json=queued)


def test_calls_name_the_model_and_the_version() -> None:
    portal = Fake()
    invoking.invoke(portal, "gait", b"1")
    invoking.invoke(portal, "a/b", b"1", version=3)
    invoking.invoke_later(portal, "gait", b"1", version=3, notify=False)
    assert portal.asked == [
        ("POST", "/api/v1/models/gait/invocations", None),
        ("POST", "/api/v1/models/a%2Fb/versions/3/invocations", None),
        ("POST", "/api/v1/models/gait/invocations/async", {"notify": "no", "version": 3}),
    ]


def test_who_waits_for_an_answer_may_say_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoking, "LOOKS_EVERY_S", 0.0)
    portal = Fake()
    queued = invoking.invoke_later(portal, "slow", b"1")
    with pytest.raises(TimeoutError, match="slow has not answered within 0 s"):
        invoking.wait(portal, queued, timeout=0)


@pytest.mark.parametrize(
    ("file", "content_type"),
    [
        ("a.json", "application/json"),
        ("a.CSV", "text/csv"),
        ("a.npy", "application/x-npy"),
        ("a.png", "image/png"),
        ("a", "application/octet-stream"),
    ],
)
def test_a_files_name_tells_its_type(file: str, content_type: str) -> None:
    assert invoking.type_of(file) == content_type


def test_an_answer_is_what_its_type_says() -> None:
    def value(kind: str, content: bytes) -> object:
        return invoking.Answer(kind, content, {}).value

    assert value("application/json", json.dumps([1]).encode()) == [1]
    assert value("application/ld+json; charset=utf-8", b"{}") == {}
    assert value("text/csv; charset=utf-8", "é".encode()) == "é"
    assert value("application/x-npy", b"\x93") == b"\x93"
