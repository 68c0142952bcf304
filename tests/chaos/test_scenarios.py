"""The short scenarios of the table, as tests; `CHAOS=all` plays every one."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.chaos.lab import Absent, Lab
from tests.chaos.playing import COMMON, Scenario, play
from tests.chaos.scenarios import SCENARIOS

PLAYED = [scenario for scenario in SCENARIOS if scenario.short or os.environ.get("CHAOS") == "all"]


def row(scenario: Scenario) -> object:
    """The labs that take long to open are opened by one process of the tests alone."""
    group = pytest.mark.xdist_group(f"chaos-{scenario.lab}-{scenario.site}")
    common = scenario.lab == COMMON and scenario.site == "process"
    return pytest.param(scenario, id=scenario.id, marks=() if common else group)


@pytest.mark.parametrize("scenario", [row(scenario) for scenario in PLAYED])
def test_each_run_ends_once(scenario: Scenario, labs: Callable[[str], Lab]) -> None:
    lab = labs(scenario.lab)
    try:
        play(scenario, lab)
    except Absent as absent:
        pytest.skip(str(absent))
    except BaseException:
        lab.give_up()
        raise


def test_the_table_is_as_large_as_promised() -> None:
    assert len(SCENARIOS) >= 60
    assert len({scenario.id for scenario in SCENARIOS}) == len(SCENARIOS)
    sites = {scenario.site for scenario in SCENARIOS}
    assert {scenario.site for scenario in SCENARIOS if scenario.short} == sites
