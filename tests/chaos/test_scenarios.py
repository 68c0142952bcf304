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
    """Labs take long to open: one for all plain agents, one for all other sites, one brief one."""
    where = "process" if scenario.site == "process" else "sites"
    name = f"chaos-{where if scenario.lab == COMMON else scenario.lab}"
    return pytest.param(scenario, id=scenario.id, marks=pytest.mark.xdist_group(name))


@pytest.mark.timeout(600)  # the first one opens the lab: a portal, its workers and its agents
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
