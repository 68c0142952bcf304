"""The connection: tokens that are used once, tries again where that is safe, words for refusals."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from labportal.client import errors
from labportal.client.profiles import Profile, Profiles
from labportal.client.transport import Transport, checked_url

URL = "https://lab.example"


class Server:
    """A portal of a few lines: gives tokens out, and refuses one that was used."""

    def __init__(self) -> None:
        self.refresh = "r0"
        self.access: set[str] = set()
        self.calls: list[str] = []
        self.answers: list[httpx.Response] = []
        self.lifetime = timedelta(minutes=10)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.calls.append(f"{request.method} {path}")
        if path.endswith("auth/refresh/"):
            if json.loads(request.content)["refresh"] != self.refresh:
                return httpx.Response(401, json={"detail": "Your sign-in has ended."})
            return httpx.Response(200, json=self.pair())
        if path.endswith("auth/token/"):
            return httpx.Response(200, json=self.pair())
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.access:
            return httpx.Response(401, json={"detail": "no"})
        return self.answers.pop(0) if self.answers else httpx.Response(200, json={"ok": True})

    def pair(self) -> dict[str, str]:
        number = int(self.refresh[1:]) + 1
        self.refresh = f"r{number}"
        self.access.add(f"a{number}")  # those given out before stay good, as the portal's do
        ends = datetime.now(UTC) + self.lifetime
        return {"access": f"a{number}", "refresh": self.refresh, "expires_at": ends.isoformat()}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def connect(server: Server) -> Callable[..., Transport]:
    waits: list[float] = []

    def make(refresh: str = "r0") -> Transport:
        profiles = Profiles()
        if not profiles.all():
            profiles.put(Profile("lab", URL, "ada", refresh))
        http = httpx.Client(base_url=URL, transport=httpx.MockTransport(server))
        made = Transport(profiles.get("lab"), profiles, http=http, sleep=waits.append)
        made.waits = waits  # type: ignore[attr-defined]
        return made

    return make


def test_a_token_is_renewed_and_the_next_one_kept_for_its_owner_alone(
    connect: Callable[..., Transport], server: Server, configuration: Path
) -> None:
    assert connect().request("GET", "/api/v1/me/").json() == {"ok": True}
    file = configuration / "profiles.json"
    assert Profiles().get("lab").refresh == "r1"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(configuration.stat().st_mode) == 0o700


def test_a_file_that_others_may_read_is_closed(configuration: Path) -> None:
    Profiles().put(Profile("lab", URL))
    (configuration / "profiles.json").chmod(0o644)
    Profiles().all()
    assert stat.S_IMODE((configuration / "profiles.json").stat().st_mode) == 0o600


def test_the_access_token_is_never_written(
    connect: Callable[..., Transport], configuration: Path
) -> None:
    connect().request("GET", "/api/v1/me/")
    assert "a1" not in (configuration / "profiles.json").read_text()


def test_one_token_serves_many_calls_until_it_ends(
    connect: Callable[..., Transport], server: Server
) -> None:
    transport = connect()
    for _ in range(3):
        transport.request("GET", "/x")
    assert server.calls.count("POST /api/v1/auth/refresh/") == 1
    server.access = {"another"}  # ended before its time
    transport.request("GET", "/x")
    assert server.calls.count("POST /api/v1/auth/refresh/") == 2


def test_a_token_that_is_about_to_end_is_renewed_before(
    connect: Callable[..., Transport], server: Server
) -> None:
    server.lifetime = timedelta(seconds=10)
    transport = connect()
    transport.request("GET", "/x")
    transport.request("GET", "/x")
    assert server.calls.count("POST /api/v1/auth/refresh/") == 2


def test_commands_side_by_side_never_use_a_token_twice(
    connect: Callable[..., Transport], server: Server
) -> None:
    transports = [connect() for _ in range(8)]
    with ThreadPoolExecutor(len(transports)) as side_by_side:
        answers = list(side_by_side.map(lambda one: one.request("GET", "/x"), transports))
    assert {answer.status_code for answer in answers} == {200}
    assert server.refresh == Profiles().get("lab").refresh
    assert server.calls.count("POST /api/v1/auth/refresh/") >= 8


def test_a_sign_in_that_has_ended_says_how_to_begin_again(
    connect: Callable[..., Transport],
) -> None:
    with pytest.raises(errors.NotSignedIn) as refused:
        connect(refresh="stolen").request("GET", "/x")
    assert (refused.value.exit_code, refused.value.remedy) == (3, "Sign in: labportal login")


def test_a_busy_portal_is_asked_again_when_it_says(
    connect: Callable[..., Transport], server: Server
) -> None:
    transport = connect()
    server.answers = [
        httpx.Response(503, headers={"Retry-After": "7"}),
        httpx.Response(429, headers={"Retry-After": "999999"}),
        httpx.Response(502),
        httpx.Response(200, json={"at": "last"}),
    ]
    assert transport.request("GET", "/x").json() == {"at": "last"}
    assert transport.waits[:2] == [7, 30]  # type: ignore[attr-defined]
    assert 0 < transport.waits[2] < 5  # type: ignore[attr-defined]


def test_what_may_have_been_done_is_not_done_twice(
    connect: Callable[..., Transport], server: Server
) -> None:
    transport = connect()
    server.answers = [httpx.Response(502), httpx.Response(200, json={})]
    with pytest.raises(errors.Unreachable):
        transport.request("POST", "/x", json={})
    assert server.calls.count("POST /x") == 1
    server.answers = [httpx.Response(503), httpx.Response(200, json={})]
    assert transport.request("POST", "/x", json={}).status_code == 200


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, errors.Invalid, 2),
        (403, errors.NotAllowed, 3),
        (404, errors.NotFound, 4),
        (409, errors.WrongMoment, 5),
        (500, errors.ClientError, 1),
    ],
)
def test_refusals_keep_their_words(
    connect: Callable[..., Transport], server: Server, status: int, kind: Any, code: int
) -> None:
    problem = {"detail": "No such cell.", "errors": {"parameters.cell": ["too small", "odd"]}}
    server.answers = [httpx.Response(status, json=problem)]
    transport = connect()
    with pytest.raises(kind) as refused:
        transport.request("GET", "/x")
    assert type(refused.value) is kind and refused.value.exit_code == code
    assert refused.value.message == "No such cell."
    assert refused.value.fields == {"parameters.cell": ["too small", "odd"]}


def test_an_answer_that_is_no_problem_document_is_survived(
    connect: Callable[..., Transport], server: Server
) -> None:
    server.answers = [httpx.Response(400, text="<h1>proxy</h1>")]
    with pytest.raises(errors.Invalid, match="400"):
        connect().request("GET", "/x")


def test_nobody_there_is_said_with_the_address() -> None:
    def gone(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    http = httpx.Client(base_url=URL, transport=httpx.MockTransport(gone))
    transport = Transport(Profile("lab", URL), http=http, sleep=lambda _: None)
    with pytest.raises(errors.Unreachable, match=r"lab\.example does not answer") as refused:
        transport.request("GET", "/x", signed=False)
    assert refused.value.exit_code == 6


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("lab.example", "https://lab.example"),
        ("https://lab.example/", "https://lab.example"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("https://lab.example/portal/", "https://lab.example/portal"),
    ],
)
def test_addresses_as_people_write_them(given: str, url: str) -> None:
    assert checked_url(given) == url


def test_no_password_travels_in_the_clear() -> None:
    with pytest.raises(errors.Invalid, match="not encrypted"):
        checked_url("http://lab.example")
    assert checked_url("http://lab.example", allow_http=True) == "http://lab.example"
    with pytest.raises(errors.Invalid):
        checked_url("ftp://lab.example")


def test_a_broken_profile_says_which_file(configuration: Path) -> None:
    configuration.mkdir()
    (configuration / "profiles.json").write_text("{")
    with pytest.raises(errors.Invalid, match=r"profiles\.json"):
        Profiles().all()
