"""The contract test passes a server that keeps the rules; of others it names the broken rule."""

import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from clusters.agent import cli
from clusters.agent.contract import OF_THE_OWNER, TITLES, Subject, Terms, passed, run_contract
from clusters.agent.contract_command import started
from clusters.agent.runtimes.base import ServingSpec
from mlmodels.examples.bundle import describe
from tests.mlmodels.examples.bundles import BREAKS, bad_echo

ECHO = describe("echo")
TERMS = Terms(
    startup_s=20,
    answer_s=10,
    max_body=1024 * 1024,
    accepts=tuple(ECHO["accepts"]),
    example=("application/json", ECHO["example"].encode()),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bad_echo(tmp_path_factory.mktemp("echo"))


def outcome(folder: Path, terms: Terms = TERMS) -> dict[str, bool | None]:
    command = [sys.executable, "-S", "bad_program.py"]
    with started(command, folder=folder, max_body=terms.max_body) as subject:
        return {check["name"]: check["ok"] for check in run_contract(subject, terms)}


def failed(outcome: dict[str, bool | None]) -> list[str]:
    return [name for name, ok in outcome.items() if ok is False]


def test_an_echo_that_keeps_the_rules_passes_every_check(folder: Path) -> None:
    assert outcome(folder) == dict.fromkeys(TITLES, True)


@pytest.mark.parametrize("rule", TITLES)
def test_a_server_that_breaks_one_rule_fails_exactly_its_check(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    monkeypatch.setenv(BREAKS, rule)
    hurried = {"ping": {"ping_timeout_s": 0.2}, "sigterm": {"stop_s": 0.5}}
    assert failed(outcome(folder, replace(TERMS, **hurried.get(rule, {})))) == [rule]


@pytest.mark.parametrize(
    ("rule", "open_ones"),
    [
        ("serve", [name for name in TITLES if name != "serve"]),
        ("oversized", ["sigterm"]),  # it ended of the long body
        ("invocations", ["headers"]),
    ],
)
def test_what_could_not_be_seen_is_left_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rule: str, open_ones: list[str]
) -> None:
    monkeypatch.setenv(BREAKS, rule)
    found = outcome(folder)
    assert [name for name, ok in found.items() if ok is None] == open_ones


def test_a_server_started_elsewhere_is_neither_ended_nor_asked_how_it_started(folder: Path) -> None:
    with started([sys.executable, "-S", "program.py"], folder=folder) as subject:
        elsewhere = Subject(subject.host, subject.port)
        checks = run_contract(elsewhere, replace(TERMS, max_body=Terms.max_body))
        assert [check["name"] for check in checks if check["ok"] is None] == list(OF_THE_OWNER)
        assert subject.ended is not None and subject.ended() is None
    assert passed(checks)


def test_nobody_who_listens_is_one_failed_ping() -> None:
    with socket.socket() as held:  # bound, and never listening
        held.bind(("127.0.0.1", 0))
        subject = Subject("127.0.0.1", held.getsockname()[1])
        checks = run_contract(subject, replace(TERMS, startup_s=0.05))
    assert [check["name"] for check in checks if check["ok"] is False] == ["ping"]
    assert "Connection refused" in checks[list(TITLES).index("ping")]["detail"]
    assert not passed(checks)


def test_a_contract_without_an_example_is_not_passed() -> None:
    checks = [{"name": name, "ok": None if name == "invocations" else True} for name in TITLES]
    assert not passed(checks)


def test_terms_come_from_what_is_served() -> None:
    spec = ServingSpec.from_json(
        {
            "replica": "r", "name": "echo", "model": "echo", "version": 1, "runtime": "process",
            "startup_s": 90, "stop_s": 5, "max_body": 7, "accepts": ["text/csv"],
            "check": {"content_type": "text/csv", "body": "1,2 µ"},
        }
    )  # fmt: skip
    terms = Terms.of(spec)
    assert (terms.startup_s, terms.stop_s, terms.max_body) == (90, 5, 7)
    assert terms.example == ("text/csv", "1,2 µ".encode())
    assert Terms.of(replace(spec, check=None)).example is None


def test_the_command_tests_a_server_that_it_starts(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = tmp_path / "example.json"
    example.write_text(ECHO["example"])
    command = [sys.executable, "-S", "program.py"]
    words = ["contract", "--folder", str(folder), "--example", str(example), "--command", *command]
    assert cli.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "contract passed"
    assert [line[:6] for line in lines[:-1]] == ["ok    "] * len(TITLES)


def test_the_command_shows_what_a_failed_server_wrote(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(BREAKS, "serve")
    words = ["contract", "--folder", str(folder), "--command", sys.executable, "bad_program.py"]
    assert cli.main(words) == 1
    shown = capsys.readouterr()
    assert "FAILED  Starts with the argument serve" in shown.out
    assert shown.err.endswith("train or die\n")


@pytest.mark.parametrize(
    "words", [["--url", "https://lab.example"], ["--url", "127.0.0.1:8080"], ["--command"]]
)
def test_the_command_refuses_what_it_cannot_test(words: list[str]) -> None:
    assert cli.main(["contract", *words]) == 2
