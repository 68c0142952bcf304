"""The server of the examples keeps the contract towards good callers, bad callers and its host."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmodels.examples.bundle import bundle
from mlmodels.examples.serving import server as serving
from mlmodels.examples.serving.server import Answer, Call, Model, Rejected, Server, chosen

MAX_BODY = 64 * 1024


class Reverser(Model):
    """Answers the body backwards; does as it is told by the words `fail` and `refuse`."""

    accepts = ("text/plain", "application/json")
    gives = ("text/plain", "application/json")
    at_once = 1

    def __init__(self) -> None:
        self.may_load, self.may_answer = threading.Event(), threading.Event()
        self.may_load.set()
        self.may_answer.set()
        self.computing = 0
        self.most_computing = 0

    def load(self) -> None:
        assert self.may_load.wait(10)

    def answer(self, call: Call) -> Answer:
        if call.body == b"fail":
            raise ZeroDivisionError("a secret of the model")
        if call.body == b"refuse":
            raise Rejected(422, "say something else")
        self.computing += 1
        self.most_computing = max(self.most_computing, self.computing)
        assert self.may_answer.wait(10)
        self.computing -= 1
        return Answer(call.body[::-1], call.accept)


@pytest.fixture
def model() -> Reverser:
    return Reverser()


@pytest.fixture
def server(model: Reverser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("SAGEMAKER_MAX_PAYLOAD_IN_MB", str(MAX_BODY / serving.MIB))
    with Server(model, port=0) as made:
        accepting = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
        accepting.start()
        loading = threading.Thread(target=made.load, args=(threading.Event(),), daemon=True)
        loading.start()
        if model.may_load.is_set():
            assert made.ready.wait(10)
        yield made
        model.may_load.set()
        model.may_answer.set()
        made.shutdown()


@pytest.fixture
def call(server: Server) -> Iterator[Callable[..., tuple[int, bytes, dict[str, str]]]]:
    """Calls over one connection, as long as the server keeps it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)

    def send(
        method: str = "POST", path: str = "/invocations", body: bytes = b"", **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body or None, headers=named)
        response = connection.getresponse()
        return response.status, response.read(), dict(response.headers)

    yield send
    connection.close()


def test_a_loaded_model_answers_ping_without_a_body(call: Callable) -> None:
    status, body, _ = call("GET", "/ping")
    assert (status, body) == (200, b"")


def test_a_call_is_answered_in_the_type_that_the_caller_prefers(call: Callable) -> None:
    status, body, headers = call(body=b"abc", Content_Type="text/plain; charset=utf-8")
    assert (status, body, headers["Content-Type"]) == (200, b"cba", "text/plain")
    _, _, headers = call(body=b"abc", Accept="text/plain;q=0.2, application/*")
    assert headers["Content-Type"] == "application/json"


def test_boto3s_path_is_a_call_as_well(call: Callable) -> None:
    assert call(path="/endpoints/redshift/invocations", body=b"ab")[:2] == (200, b"ba")


def test_headers_that_a_host_adds_are_passed_over(call: Callable) -> None:
    assert call(body=b"ab", X_Amzn_Trace_Id="1", X_Strange="x" * 4000)[0] == 200


def test_a_model_that_loads_says_503_to_all(
    model: Reverser, request: pytest.FixtureRequest
) -> None:
    model.may_load.clear()
    server = request.getfixturevalue("server")
    call = request.getfixturevalue("call")
    assert call("GET", "/ping")[0] == 503
    status, body, _ = call(body=b"abc")
    assert status == 503 and "still being loaded" in json.loads(body)["error"]
    model.may_load.set()
    assert server.ready.wait(10)
    assert call("GET", "/ping")[0] == 200


@pytest.mark.parametrize(
    ("status", "complaint", "sent"),
    [
        (415, "'image/png' is not taken; send text/plain or", {"Content_Type": "image/png"}),
        (406, "accept text/plain or application/json", {"Accept": "image/png"}),
        (406, "cannot be given", {"Accept": "text/plain;q=0"}),
        (422, "say something else", {"body": b"refuse"}),
        (500, "the model failed: ZeroDivisionError", {"body": b"fail"}),
        (404, "GET /ping and POST /invocations", {"path": "/nowhere"}),
        (405, "/ping takes GET", {"path": "/ping"}),
        (405, "/invocations takes POST", {"method": "PUT"}),
        (413, f"longer than {MAX_BODY} bytes", {"body": b"x" * (MAX_BODY + 1)}),
        (413, f"longer than {MAX_BODY} bytes", {"body": b"x" * (40 * MAX_BODY)}),
        (400, "'-1' is no number", {"Content_Length": "-1"}),
        (400, "either a Content-Length or", {"Transfer_Encoding": "gzip"}),
    ],
)
def test_a_bad_call_is_told_what_would_do(
    server: Server, call: Callable, status: int, complaint: str, sent: dict
) -> None:
    got, body, _ = call(**sent)
    assert got == status
    assert complaint in json.loads(body)["error"]
    assert b"secret" not in body
    assert call(body=b"still there")[0] == 200


def test_a_body_in_chunks_is_read_up_to_the_limit(call: Callable) -> None:
    def pieces(count: int) -> Iterator[bytes]:
        yield from (b"ab" for _ in range(count))

    assert call(body=pieces(3))[:2] == (200, b"bababa")
    assert call(body=pieces(MAX_BODY // 2 + 1))[0] == 413


@pytest.mark.parametrize(
    "chunks", [b"zz\r\n", b"-5\r\nabc\r\n", b"\r\n", b"5; x=1\r\nhello\r\nbroken"]
)
def test_chunks_that_cannot_be_read_are_refused(server: Server, chunks: bytes) -> None:
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(head + chunks)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_a_caller_who_waits_to_send_too_much_is_told_before(server: Server) -> None:
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY + 1}\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_ping_is_answered_beside_a_call_and_calls_wait_for_their_place(
    model: Reverser, server: Server, call: Callable
) -> None:
    model.may_answer.clear()
    statuses: list[int] = []

    def invoke() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.request("POST", "/invocations", body=b"ab")
        statuses.append(connection.getresponse().status)
        connection.close()

    callers = [threading.Thread(target=invoke) for _ in range(4)]
    for caller in callers:
        caller.start()
    assert call("GET", "/ping")[0] == 200
    model.may_answer.set()
    for caller in callers:
        caller.join(10)
    assert statuses == [200] * 4
    assert model.most_computing == 1


def test_a_caller_that_goes_away_leaves_no_trace_in_the_log(
    server: Server, call: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        connection.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
    assert call(body=b"ab")[0] == 200
    assert "Traceback" not in capsys.readouterr().err


@given(accept=st.text(max_size=40))
def test_whatever_is_accepted_is_one_of_what_can_be_given_or_nothing(accept: str) -> None:
    assert chosen(accept, ("text/csv", "application/json")) in {
        "text/csv", "application/json", None,
    }  # fmt: skip


class Program:
    """An echo as a process, as its host sees it."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-S", "program.py", *arguments],
            cwd=folder,
            env={**os.environ, "SAGEMAKER_BIND_TO_PORT": str(self.port), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle("echo", tmp_path_factory.mktemp("bundle") / "echo")


def test_a_call_in_flight_is_answered_before_sigterm_ends_the_server(echo: Path) -> None:
    program = Program(echo, "serve")
    assert program.line() == f"listening on 127.0.0.1:{program.port}"
    assert program.line().startswith("ready after")
    host = http.client.HTTPConnection("127.0.0.1", program.port, timeout=60)

    def ping() -> int:
        host.request("GET", "/ping")
        response = host.getresponse()
        response.read()
        return response.status

    assert ping() == 200
    with socket.create_connection(("127.0.0.1", program.port), 60) as caller:
        head = "POST /invocations HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        caller.sendall(head.encode())
        assert caller.recv(65536).startswith(b"HTTP/1.1 100 ")  # it has arrived
        program.process.send_signal(signal.SIGTERM)
        while ping() == 200:  # the signal has not yet
            time.sleep(0.01)
        caller.sendall(b"{}")
        response = http.client.HTTPResponse(caller)
        response.begin()
        assert (response.status, response.read()) == (200, b"{}")
        assert response.headers["Connection"] == "close"
    assert program.end()[0] == 0


def test_sigterm_ends_a_server_that_still_loads(echo: Path) -> None:
    program = Program(echo, "serve", ECHO_LOADS_S="60")
    program.line()
    program.process.send_signal(signal.SIGTERM)
    assert program.end() == (0, "stopped\n")


def test_a_model_that_cannot_be_loaded_ends_its_server_with_the_reason(echo: Path) -> None:
    program = Program(echo, "serve", ECHO_LOADS_S="-1")
    code, output = program.end()
    assert code == 1
    assert "ValueError: sleep length must be non-negative" in output


def test_an_argument_other_than_serve_is_refused(echo: Path) -> None:
    assert Program(echo, "train").end() == (2, "unknown argument 'train'; it is: serve\n")
