"""Environment variables are read by type, and a wrong one is named without showing its value."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labportal import env

NAME = "LABPORTAL_TEST_VARIABLE"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda value: monkeypatch.setenv(NAME, value)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (lambda: env.string(NAME), "abc", "abc"),
        (lambda: env.string(NAME, "default"), "", "default"),
        (lambda: env.boolean(NAME), "Yes", True),
        (lambda: env.boolean(NAME, default=True), "off", False),
        (lambda: env.integer(NAME, least=1), "12", 12),
        (lambda: env.integer(NAME, 3), "", 3),
        (lambda: env.url(NAME, schemes=("redis",)), "redis://h:1/0", "redis://h:1/0"),
        (lambda: env.path(NAME), "/srv/x", Path("/srv/x")),
        (lambda: env.listing(NAME), " a, b ,,c", ["a", "b", "c"]),
        (lambda: env.listing(NAME, ["a"]), "", []),
    ],
)
def test_a_variable_is_read_as_its_type(
    given: Callable[[str], None], read: Callable[[], Any], text: str, value: Any
) -> None:
    given(text)
    assert read() == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (lambda: env.boolean(NAME), "perhaps"),
        (lambda: env.integer(NAME), "twelve"),
        (lambda: env.integer(NAME, least=1), "0"),
        (lambda: env.integer(NAME, most=9), "10"),
        (lambda: env.url(NAME), "localhost"),
        (lambda: env.url(NAME), "redis://h:notaport/0"),
        (lambda: env.url(NAME, schemes=("redis",)), "amqp://topsecret@h"),
    ],
)
def test_a_wrong_value_stops_the_start_by_name(
    given: Callable[[str], None], read: Callable[[], Any], text: str
) -> None:
    given(text)
    with pytest.raises(env.WrongValue) as failure:
        read()
    assert NAME in str(failure.value)
    assert text not in str(failure.value)


def test_a_missing_value_without_default_is_named() -> None:
    for read in (env.string, env.integer, env.path, env.url, env.secret):
        with pytest.raises(env.WrongValue, match=NAME):
            read(NAME)


def test_a_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hush\n")
    monkeypatch.setenv(f"{NAME}_FILE", str(file))
    assert env.secret(NAME) == "hush"
    monkeypatch.setenv(NAME, "also here")
    with pytest.raises(env.WrongValue, match="together"):
        env.secret(NAME)


def test_a_secret_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{NAME}_FILE", "/nonexistent")
    with pytest.raises(env.WrongValue, match=f"{NAME}_FILE"):
        env.secret(NAME, "default")


def test_variables_of_a_prefix_are_collected_with_their_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("k\n")
    monkeypatch.setenv("PROVIDER_TEST_DOMAIN", "example.org")
    monkeypatch.setenv("PROVIDER_TEST_KEY_FILE", str(tmp_path / "key"))
    assert env.prefixed("PROVIDER_TEST_") == {"DOMAIN": "example.org", "KEY": "k"}
