"""The contract test passes a server that keeps the rules, and names the rule that another breaks."""

import sys
from pathlib import Path

import pytest

from clusters.agent.contract import TITLES, Terms, run_contract
from clusters.agent.contract_command import started
from mlmodels.examples.bundle import describe
from tests.mlmodels.examples.bundles import BREAKS, bad_echo

ECHO = describe("echo")
TERMS = Terms(
    startup_s=20,
    ping_timeout_s=0.25,
    answer_s=10,
    stop_s=1,
    max_body=1024 * 1024,
    accepts=tuple(ECHO["accepts"]),
    example=("application/json", ECHO["example"].encode()),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bad_echo(tmp_path_factory.mktemp("echo"))


def outcome(folder: Path, *, terms: Terms = TERMS) -> dict[str, bool | None]:
    command = [sys.executable, "-S", "bad_program.py"]
    with started(command, folder=folder, max_body=terms.max_body) as subject:
        return {check["name"]: check["ok"] for check in run_contract(subject, terms)}


def test_an_echo_that_keeps_the_rules_passes_every_check(folder: Path) -> None:
    assert outcome(folder) == dict.fromkeys(TITLES, True)


@pytest.mark.parametrize("rule", [name for name in TITLES if name != "serve"])
def test_a_server_that_breaks_one_rule_fails_exactly_its_check(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    monkeypatch.setenv(BREAKS, rule)
    assert outcome(folder) == {name: name != rule for name in TITLES}


def test_a_server_that_knows_no_serve_fails_and_nothing_else_is_concluded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BREAKS, "serve")
    assert outcome(folder) == dict.fromkeys(TITLES, None) | {"serve": False}


def test_a_server_that_ends_while_it_is_tested_is_told_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its end nothing more is held against it."""
    monkeypatch.setenv(BREAKS, "oversized")
    found = outcome(folder)
    assert (found["oversized"], found["sigterm"]) == (False, None)
