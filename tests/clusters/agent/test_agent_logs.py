"""Lines that programs write, read once each, within a budget, with the gap told."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from clusters.agent.logs import Budget, OwnLog, Tail
from clusters.agent.protocol import MAX_LOG_LINE


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def tail_of(path: Path, clock: Clock, per_minute: int = 100_000, offset: int = 0) -> Tail:
    return Tail(path, run="r", offset=offset, budget=Budget(per_minute, clock))


def texts(events: list[dict]) -> list[str]:
    return [event["text"] for event in events]


def test_whole_lines_are_read_once_and_the_rest_at_the_end(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "log"
    tail = tail_of(path, clock)
    assert tail.read() == []
    with path.open("w") as stream:
        stream.write("one\ntwo\nthr")
        stream.flush()
        assert texts(tail.read()) == ["one", "two"]
        assert tail.read() == []
        stream.write("ee\nfour")
        stream.flush()
        assert texts(tail.read()) == ["three"]
    assert texts(tail.read(final=True)) == ["four"]
    assert tail.offset == path.stat().st_size


def test_reading_goes_on_from_an_offset(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "log"
    path.write_text("one\ntwo\n")
    assert texts(tail_of(path, clock, offset=4).read()) == ["two"]


def test_lines_beyond_the_budget_leave_a_gap_of_their_own(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"{i:09d}\n" for i in range(20)))
    tail = tail_of(path, clock, per_minute=100)
    assert len(tail.read()) == 10
    clock.now = 60.0
    with path.open("a") as stream:
        stream.write("after\n")
    gap, line = tail.read()
    assert gap["text"] == "10 lines not sent, file kept"
    assert (gap["level"], gap["service"]) == ("WARNING", "agent")
    assert line["text"] == "after"


def test_the_gap_is_told_at_the_end_too(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "log"
    path.write_text("x" * 50 + "\n" + "y" * 80 + "\n")
    events = tail_of(path, clock, per_minute=60).read(final=True)
    assert texts(events) == ["x" * 50, "1 lines not sent, file kept"]


def test_bytes_that_are_no_text_and_endless_lines_are_borne(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\xff\x00key\n" + b"z" * 700_000)
    found = texts(tail_of(path, clock, per_minute=10_000_000).read(final=True))
    assert found[0] == "\N{REPLACEMENT CHARACTER}key"
    assert all(len(text) <= MAX_LOG_LINE for text in found)
    assert found[1].endswith(" …")


def test_a_log_that_is_begun_anew_is_read_from_its_start(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "log"
    path.write_text("a long first line\n")
    tail = tail_of(path, clock)
    tail.read()
    path.write_text("new\n")
    assert texts(tail.read()) == ["new"]


def test_a_link_in_place_of_the_log_is_not_followed(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "secret").write_text("secret\n" * 100)
    (tmp_path / "log").symlink_to(tmp_path / "secret")
    assert tail_of(tmp_path / "log", clock).read(final=True) == []


def test_the_agents_own_lines_name_the_error_and_no_traceback() -> None:
    own = OwnLog()
    logger = logging.Logger("test")
    logger.addHandler(own)
    logger.debug("too fine")
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        logger.exception("it failed", extra={"run": "r"})
    (line,) = own.take()
    assert line["text"] == "it failed: RuntimeError: broken"
    assert (line["level"], line["run"], line["service"]) == ("ERROR", "r", "agent")
    assert own.take() == []
