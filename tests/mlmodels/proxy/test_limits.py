"""How often and how much at once, over several processes."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from mlmodels import traffic
from mlmodels.proxy import limits
from mlmodels.proxy.limits import Rates, TooMany
from mlmodels.proxy.load import Loads
from mlmodels.proxy.table import Target
from tests.mlmodels.proxy.conftest import Shelf
from tests.mlmodels.proxy.door import Door, Model, answer_of

NOON = 1_790_000_040.0  # the beginning of a minute


def tell(*processes: Rates, now: float = NOON) -> None:
    for rates in processes:
        news = rates.news(now)
        rates.learn(news, limits.tell(news))


def passes(rates: Rates, limit: int, now: float = NOON) -> bool:
    try:
        rates.take(1, 1, limit, now)
    except TooMany:
        return False
    return True


def test_so_many_calls_a_minute_and_no_more() -> None:
    rates = Rates()
    assert [passes(rates, 3) for _ in range(5)] == [True, True, True, False, False]
    assert passes(rates, 4)


def test_a_person_does_not_use_up_anothers_calls() -> None:
    rates = Rates()
    rates.take(1, 1, 1, NOON)
    rates.take(1, 2, 1, NOON)
    rates.take(2, 1, 1, NOON)


def test_the_minute_slides() -> None:
    """Sixty calls at a minute's end do not allow sixty more a moment later."""
    rates = Rates()
    assert all(passes(rates, 60, NOON + 59) for _ in range(60))
    assert not passes(rates, 60, NOON + 60)
    assert [passes(rates, 60, NOON + 90) for _ in range(32)].count(True) == 30
    assert passes(rates, 60, NOON + 200)


@given(
    st.integers(1, 50),
    st.lists(st.floats(0, 200), max_size=200).map(sorted),
)
def test_retry_after_is_kept(limit: int, times: list[float]) -> None:
    """Whoever waits as long as they are told gets through."""
    rates = Rates()
    for time in times:
        try:
            rates.take(1, 1, limit, NOON + time)
        except TooMany as error:
            assert 1 <= error.retry_after_s <= limits.WINDOW_S + 1
            again = Rates()
            again._counts = {
                key: limits._Count(c.window, c.known, c.own, c.before)
                for key, c in rates._counts.items()
            }
            assert passes(again, limit, NOON + time + error.retry_after_s)


def test_two_processes_count_together() -> None:
    one, two = Rates(), Rates()
    for _ in range(3):
        one.take(1, 1, 5, NOON)
    two.take(1, 1, 5, NOON)
    tell(one, two)
    two.take(1, 1, 5, NOON)
    assert not passes(two, 5)
    tell(two, one)
    one.take(1, 1, 6, NOON)
    tell(one)
    assert not passes(one, 6)


def test_a_process_that_starts_learns_of_the_minute_before() -> None:
    one, two = Rates(), Rates()
    for _ in range(4):
        one.take(1, 1, 4, NOON + 59)
    tell(one, now=NOON + 59)
    assert passes(two, 4, NOON + 60)
    tell(two, now=NOON + 60)
    assert not passes(two, 4, NOON + 60)


def test_a_call_that_comes_while_the_others_are_told_is_not_lost() -> None:
    rates = Rates()
    rates.take(1, 1, 9, NOON)
    news = rates.news(NOON)
    rates.take(1, 1, 9, NOON)
    rates.learn(news, limits.tell(news))
    tell(rates)
    assert rates._counts[1, 1].known == 2


def test_who_no_longer_calls_is_forgotten() -> None:
    rates = Rates()
    rates.take(1, 1, 9, NOON)
    rates.news(NOON + 200)
    assert rates._counts == {}


def test_a_caller_is_told_when_to_come_again(door: Door, model: Model, shelf: Shelf) -> None:
    shelf.add(model.address, calls_per_minute=1)
    assert door.call().status == 200
    reply = door.call()
    assert (reply.status, reply.code) == (429, "rate")
    assert 1 <= int(reply.headers["retry-after"]) <= 61
    assert door.call(token="max's").status == 200
    door.beat()
    assert [row["error"] for row in shelf.rows] == ["", "rate", ""]


# At once


def _targets(*names: str) -> list[Target]:
    from yarl import URL

    return [Target(name, URL("http://x"), name) for name in names]


def test_calls_of_other_processes_count_where_the_least_busy_is_chosen() -> None:
    loads = Loads()
    loads.learn({"a": 3})
    loads.of("b").in_flight = 2
    assert loads.least_busy(_targets("a", "b"), 10)[0].id == "b"
    loads.of("b").in_flight = 4
    assert loads.least_busy(_targets("a", "b"), 10)[0].id == "a"
    with pytest.raises(TooMany):
        loads.least_busy(_targets("a", "b"), 3)


def test_a_replica_that_fails_is_avoided_while_there_is_another() -> None:
    loads = Loads()
    loads.of("a").fail("away")
    loads.of("b").in_flight = 5
    assert loads.least_busy(_targets("a", "b"), 10)[0].id == "b"
    assert loads.least_busy(_targets("a"), 10)[0].id == "a"
    assert loads.least_busy(_targets("a", "b"), 10, tried=("b",))[0].id == "a"


def test_a_busy_model_says_so(door: Door, shelf: Shelf) -> None:
    leave = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await leave.wait()
        return web.Response(text="done")

    shelf.add(door.model(slow).address, max_in_flight=1)
    with door.line("Content-Length: 0") as wire:
        door.until(lambda: door.proxy.loads.of("1-0").in_flight)
        reply = door.call()
        assert (reply.status, reply.code, reply.headers["retry-after"]) == (429, "busy", "1")
        door.loop.call_soon_threadsafe(leave.set)
        assert b"done" in answer_of(wire)


# Between processes


def test_processes_know_of_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert traffic.tell("one", {"r": (3, 0.0)}) == {"r": 0}
    assert traffic.tell("two", {"r": (2, 0.0)}) == {"r": 3}
    assert traffic.of(["r", "s"]) == {"r": traffic.Traffic(5, None)}


def test_a_process_that_died_has_nothing_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    traffic.tell("dead", {"r": (3, NOON)})
    later = traffic.time.time() + traffic.IN_FLIGHT_COUNTS_S + 1
    monkeypatch.setattr(traffic.time, "time", lambda: later)
    assert traffic.of(["r"])["r"].in_flight == 0
    assert traffic.tell("living", {"r": (1, later)}) == {"r": 0}
    much_later = later + traffic.KEPT_S + 1
    monkeypatch.setattr(traffic.time, "time", lambda: much_later)
    traffic.tell("living", {"r": (1, much_later)})
    assert set(traffic.redis_client().hkeys("labportal:traffic:r")) == {b"living"}


def test_the_last_good_answer_of_any_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = traffic.time.time()
    monkeypatch.setattr(traffic.time, "time", lambda: now)
    traffic.tell("one", {"r": (0, now - 20)})
    traffic.tell("two", {"r": (0, now - 7)})
    assert traffic.of(["r"])["r"].answered_s == pytest.approx(7)


def test_without_redis_nothing_is_known(door: Door, model: Model, settings: object) -> None:
    from labportal.common import wake

    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    wake.redis_client.cache_clear()
    try:
        assert traffic.of(["r"]) == {}
        assert door.call().status == 200
        door.beat()
        assert door.call().status == 200
    finally:
        wake.redis_client.cache_clear()
