"""Speed-up, the law of the start-up, and costs, on plain values."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.scaling.law import law_of
from calculations.scaling.measured import Point, Series, series_of
from calculations.scaling.prices import Prices, functions, read, rented
from calculations.scaling.study import part_of
from labportal.common.errors import InvalidInput
from tests.calculations.scaling.runs import WORK, measured

NONE = Prices()


def series(*runs: object) -> Series:
    (found,) = series_of(runs)
    return found


def test_speed_up_counts_the_start_and_the_work_tells_its_own() -> None:
    found = series(measured(1, 12.0), measured(4, 4.5))
    four = found.points[1]
    assert found.speed_up(four) == pytest.approx(12 / 4.5)
    assert found.work_speed_up(four) == pytest.approx(4.0)
    assert found.efficiency(four) == pytest.approx(12 / 4.5 / 4)


def test_without_one_rank_the_smallest_number_is_the_measure() -> None:
    found = series(measured(8, 3.0), measured(2, 9.0))
    assert [point.ranks for point in found.points] == [2, 8]
    assert found.efficiency(found.points[0]) == 1.0
    assert found.efficiency(found.points[1]) == pytest.approx(3.0 * 2 / 8)


def test_repeated_runs_are_told_by_their_median_and_memory_by_the_worst() -> None:
    point = series(measured(2, 5.0), measured(2, 90.0, peak_mib=800.0), measured(2, 6.0)).base
    assert (point.reduced_s.median, point.reduced_s.low, point.reduced_s.high) == (6.0, 5.0, 90.0)
    assert point.peak_mib == 800.0


def test_other_work_is_never_compared() -> None:
    smaller = replace(WORK, samples=1024, partitions=4)
    found = series_of([measured(1, 12.0), measured(2, 7.0, work=smaller), measured(2, 8.0)])
    assert [len(one.points) for one in found] == [2, 1]
    assert [one.label for one in found] == ["2,048 samples", "1,024 samples"]


def test_one_work_needs_no_label_and_another_machine_does() -> None:
    assert series(measured(1, 3.0)).label == ""
    other = replace(WORK, cluster="tesla")
    labels = [one.label for one in series_of([measured(1, 3.0), measured(1, 3.0, work=other)])]
    assert labels == ["metis", "tesla"]


@pytest.mark.parametrize(("name", "shape"), [("log", math.log2), ("linear", float)])
def test_the_law_that_made_the_points_is_found(name: str, shape: object) -> None:
    law = law_of([(n, 1.5 + 0.25 * shape(n)) for n in (1, 2, 4, 8, 16)])
    assert law is not None and law.name == name and law.settled
    assert (law.a, law.b) == (pytest.approx(1.5), pytest.approx(0.25))
    assert law.residual < 1e-9 < law.other_residual


def test_two_numbers_of_ranks_carry_no_law_however_many_runs() -> None:
    assert law_of([(1, 2.0), (2, 2.5), (2, 2.6), (1, 2.1), (2, 2.4)]) is None


def test_three_numbers_give_a_law_that_is_never_settled() -> None:
    law = law_of([(n, 1.0 + 0.5 * n) for n in (1, 2, 4)])
    assert law is not None and law.name == "linear" and not law.settled


def test_noise_as_large_as_the_difference_settles_nothing() -> None:
    law = law_of([(1, 2.0), (2, 2.9), (4, 2.2), (8, 3.4), (16, 2.5)])
    assert law is not None and not law.settled


@given(
    st.dictionaries(st.integers(1, 4096), st.floats(0.01, 1e4), min_size=3, max_size=12),
)
def test_the_better_law_is_taken_and_stays_between_its_points(points: dict[int, float]) -> None:
    law = law_of(list(points.items()))
    if law is None:
        return
    assert law.residual <= law.other_residual
    places, values = law.line()
    assert places[0] == min(points) and places[-1] == pytest.approx(max(points), rel=1e-3)
    assert all(map(math.isfinite, values))


def test_spreads_that_overlap_are_told() -> None:
    apart = series(measured(1, 20.0), measured(1, 22.0), measured(2, 11.0), measured(2, 19.0))
    assert not part_of(apart, NONE).overlaps
    noisy = series(measured(1, 18.0), measured(1, 40.0), measured(2, 11.0), measured(2, 19.0))
    assert part_of(noisy, NONE).overlaps
    assert not part_of(series(measured(1, 20.0)), NONE).overlaps


def only(**more: object) -> tuple[Series, Point]:
    found = series(measured(4, 10.0, **more))
    return found, found.base


def test_cores_are_held_until_the_end() -> None:
    found, point = only(work=replace(WORK, threads=3), ended_s=36.0)
    use = rented(found, point, Prices(core_hour=0.5))
    assert use.core_hours == pytest.approx(4 * 3 * 36 / 3600)
    assert use.gpu_hours == 0 and use.price == pytest.approx(0.5 * use.core_hours)
    assert rented(found, point, NONE).price is None


def test_each_rank_on_a_gpu_holds_one() -> None:
    found, point = only(work=replace(WORK, gpus=True), ended_s=36.0)
    use = rented(found, point, Prices(core_hour=0.5, gpu_hour=2.0))
    assert use.gpu_hours == pytest.approx(0.04)
    assert use.price == pytest.approx(0.5 * 0.04 + 2.0 * 0.04)
    assert "no GPUs" in functions(found, point, None).why_not


def test_functions_are_billed_for_the_memory_that_they_are_given() -> None:
    found, point = only(peak_mib=900.2)
    called = functions(found, point, 10_240)
    assert (called.memory_mib, called.used_mib, called.billed_s) == (10_240, 900.2, 10.0)
    expected = 4 * (10.0 * 10 * 0.0000166667 + 2e-7) + (4 + 2 * 4) * 0.000025
    assert called.price == pytest.approx(expected)


def test_the_published_case_costs_what_its_logs_say() -> None:
    """173 functions of 10,240 MB for 34.43 s: $0.99, where the paper told $0.30."""
    found = series(measured(173, 34.43))
    called = functions(found, found.base, 10_240)
    assert called.price - (4 + 2 * 173) * 0.000025 == pytest.approx(0.993, abs=0.001)


def test_by_default_a_function_gets_whole_cores_and_what_its_rank_held() -> None:
    found, point = only()
    assert functions(found, point, None).memory_mib == 1769
    found, point = only(peak_mib=3000.5)
    assert functions(found, point, None).memory_mib == 3001


def test_less_memory_brings_less_core_and_so_more_time() -> None:
    found, point = only()
    called = functions(found, point, 1024)
    assert called.billed_s == pytest.approx(10 * 1769 / 1024, abs=0.001) and not called.why_not


def test_what_lambda_would_refuse_has_no_price() -> None:
    found, point = only(peak_mib=1200.0)
    assert functions(found, point, 1024).why_not == "a rank needs 1,200 MB"
    found, point = only(peak_mib=20_000.0)
    assert functions(found, point, None).why_not == "a rank needs 20,000 MB"
    found = series(measured(1, 901.0))
    assert "15 minutes" in functions(found, found.base, None).why_not


def test_the_cheapest_is_told_for_a_deadline_too() -> None:
    found = series(measured(1, 20.0), measured(2, 11.0), measured(4, 7.0), measured(8, 6.9))
    best = part_of(found, Prices(core_hour=1.0)).cheapest
    assert best.rented.point.ranks == 1 and best.rented_in_time is None
    best = part_of(found, Prices(core_hour=1.0, deadline_s=10.0)).cheapest
    assert best.rented_in_time.point.ranks == 4
    assert best.functions_in_time.point.ranks == 4
    best = part_of(found, Prices(deadline_s=1.0)).cheapest
    assert best.rented.point.ranks == 1 and best.rented_in_time is None


def test_a_deadline_holds_for_what_less_memory_stretches() -> None:
    found = series(measured(1, 20.0), measured(4, 7.0))
    best = part_of(found, Prices(deadline_s=10.0, memory_mib=1024)).cheapest
    assert best.rented_in_time.point.ranks == 4 and best.functions_in_time is None


def test_prices_are_those_entered_else_those_offered() -> None:
    offered = Prices(core_hour=0.02, gpu_hour=2.0, source="of metis")
    assert read({}, offered=offered) == offered
    said = read({"core_hour": " 0.1 ", "memory": "2048", "deadline": "60"}, offered=offered)
    assert (said.core_hour, said.gpu_hour) == (0.1, 2.0)
    assert (said.memory_mib, said.deadline_s) == (2048, 60.0)
    assert said.source == "as entered"
    assert read({"core_hour": "0"}, offered=offered).core_hour == 0


def test_every_wrong_price_is_named() -> None:
    wrong = {"core_hour": "-1", "gpu_hour": "nan", "memory": "12800", "deadline": "soon"}
    with pytest.raises(InvalidInput) as refused:
        read(wrong, offered=NONE)
    assert set(refused.value.errors) == set(wrong)
    with pytest.raises(InvalidInput):
        read({"memory": "1024.5"}, offered=NONE)
