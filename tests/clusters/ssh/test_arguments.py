"""What people enter reaches the OpenSSH programs as values, never as options or shell text."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.transports.ssh import arguments
from clusters.transports.ssh.arguments import Way
from labportal.common.errors import InvalidInput

CHECKS = (
    arguments.check_host,
    arguments.check_user,
    arguments.check_python,
    arguments.check_work,
)
GOOD = {
    arguments.check_host: ["login.hpc.example", "tesla-1", "10.0.0.7", "::1", "a.b.c."],
    arguments.check_user: ["lab", "ada.lovelace", "u_1", "ada@lab.example", "svc$"],
    arguments.check_python: ["python3", "/opt/py 3.11/bin/python3".replace(" ", ""), "~/v/bin/py"],
    arguments.check_work: ["~/labportal", "/scratch/lab group/Größe", "/a.b/c_d-e"],
}
HOSTILE = [
    "-oProxyCommand=touch /tmp/x",
    "--",
    "a b",
    "a;b",
    "$(id)",
    "`id`",
    "a\nb",
    "a\0b",
    "'a'",
    '"a"',
    "a|b",
    "*",
    "",
    " ",
]


@pytest.mark.parametrize("check", CHECKS)
def test_usual_names_pass(check: object) -> None:
    for text in GOOD[check]:
        assert check(text)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_refused_with_an_example(check: object, text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check(text)
    assert next(iter(refusal.value.errors.values())).startswith("Enter ")


@pytest.mark.parametrize("text", ["relative", "~other/x", "/a/../b", "~/..", "/", "/a//b", "/-rf"])
def test_a_work_folder_leads_where_it_says(text: str) -> None:
    with pytest.raises(InvalidInput):
        arguments.check_work(text)


@given(st.text(max_size=80))
def test_whatever_passes_is_one_harmless_word(text: str) -> None:
    for check in CHECKS:
        try:
            word = check(text)
        except InvalidInput:
            continue
        assert not word.startswith("-")
        assert word.isprintable()
        assert not set(word) & set("\"'`$;|&<>\\*?[](){}!#\n\0")


def test_nothing_stands_where_an_option_could() -> None:
    way = Way("login", 22, "lab", Path("/x/c"), Path("/x/hosts"), "labportal-1")
    words = arguments.command(way, "true")
    assert words[-3:] == ["--", "login", "true"]
    master = arguments.master(way, key=Path("/x/k"), certificate=None, log=Path("/x/l"), keep_s=9)
    assert master[-2:] == ["--", "login"]
    for option in ("StrictHostKeyChecking=yes", "BatchMode=yes", "ForwardAgent=no"):
        assert option in words
        assert option in master


def test_a_path_is_one_word_of_the_shell_and_the_home_stands_for_itself() -> None:
    assert arguments.shell_path("~/a b") == "~/'a b'"
    assert shlex.split(arguments.shell_path("/a b/c")) == ["/a b/c"]


def test_an_ipv6_address_is_told_from_a_port() -> None:
    way = Way("::1", 22, "lab", Path("/x/c"), Path("/x/hosts"), "labportal-1")
    assert arguments.sftp(way, Path("/x/batch"))[-1] == "[::1]"
