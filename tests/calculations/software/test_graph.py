"""The graph of analyses: its order, what completes a choice, and definitions that contradict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.software import registry
from calculations.software.base import Analysis, InvalidAnalyses, NotComputable
from calculations.software.execution import execute, execute_across
from calculations.software.graph import (
    check_definitions,
    completed,
    order_analyses,
    requirements,
    suited,
)
from calculations.software.results import Quantity, Results


def analysis(name, *requires, scope="run", **more):
    def compute(*arguments):
        return Results((Quantity(name, name, 1.0),))

    return Analysis(name, name.capitalize(), scope, compute, requires, **more)


CHAIN = (analysis("c", "b"), analysis("b", "a"), analysis("a"), analysis("d"))


def test_a_choice_is_completed_in_order():
    assert [a.name for a in completed(CHAIN, ["c"])] == ["a", "b", "c"]
    assert requirements(CHAIN, "c") == ["a", "b"]
    with pytest.raises(InvalidAnalyses, match="'c' needs b"):
        order_analyses(CHAIN, ["c", "a"])


@given(st.lists(st.sampled_from("abcd"), unique=True))
def test_what_is_completed_can_be_carried_out(chosen):
    whole = [a.name for a in completed(CHAIN, chosen)]
    assert set(chosen) <= set(whole)
    assert [a.name for a in order_analyses(CHAIN, whole)] == whole


@pytest.mark.parametrize(
    ("definitions", "words"),
    [
        ((analysis("a", "b"), analysis("b", "a")), "circle"),
        ((analysis("a", "a"),), "circle"),
        ((analysis("a", "z"),), "requires 'z', which is unknown"),
        ((analysis("a"), analysis("a")), "defined twice: a"),
        ((analysis("a", scope="nowhere"),), "no scope"),
        ((analysis("a", scope="calculation"), analysis("b", "a")), "of all runs"),
    ],
)
def test_definitions_that_contradict_are_refused(definitions, words):
    with pytest.raises(InvalidAnalyses, match=words):
        check_definitions(definitions)


def test_a_plug_in_whose_analyses_go_in_circles_is_left_out(monkeypatch):
    from bench.noop import Noop

    monkeypatch.setattr(Noop, "analyses", (analysis("a", "b"), analysis("b", "a")))
    registry.all_software.cache_clear()
    try:
        assert "noop" not in registry.all_software()
        assert "siesta" in registry.all_software()
    finally:
        monkeypatch.undo()
        registry.all_software.cache_clear()
    assert "noop" in registry.all_software()


def test_the_usual_choice_is_whole_and_finds_something():
    available = (
        analysis("a", default=False),
        analysis("b", "a"),
        analysis("across", scope="calculation"),
        analysis("useless", lacks=lambda parameters, swept: "switch it on"),
    )
    assert suited(available, {}, []) == ["a", "b"]
    assert suited(available, {}, ["x"]) == ["a", "b", "across"]


def test_what_rests_on_something_missing_is_missing_and_says_why():
    def nothing(results, parameters):
        raise NotComputable("no spectrum there")

    first = Analysis("a", "A", "run", nothing)
    done = execute([first, *completed((*CHAIN[:2], first), ["c"])[1:]], Results(), {})
    assert [item.status for item in done] == ["missing"] * 3
    assert done[1].problem == "rests on a: no spectrum there"


def test_the_input_of_an_analysis_holds_what_it_rests_on():
    def sees(results, parameters):
        return Results((Quantity("seen", "Seen", results.quantity("a").value + 1),))

    done = execute([CHAIN[2], Analysis("e", "E", "run", sees, ("a",))], Results(), {})
    assert done[1].results.quantity("seen").value == 2.0


def test_an_error_of_a_plug_in_stops_nothing_else():
    def broken(runs):
        raise KeyError("x")

    analyses = [Analysis("a", "A", "calculation", broken), analysis("d", scope="calculation")]
    done = execute_across(analyses, [], troubled={})
    assert [item.status for item in done] == ["failed", "computed"]
    assert "KeyError" in done[0].problem


@pytest.mark.parametrize("name", sorted(registry.BUILT_IN))
def test_the_definitions_of_the_built_in_programs_are_sound(name):
    analyses = registry.all_software()[name].analyses
    check_definitions(analyses)
    for one in analyses:
        assert one.label
        assert one.help
        assert one.version >= 1
