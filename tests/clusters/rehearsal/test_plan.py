"""What an admin writes about faults is understood, or refused with what is known."""

from __future__ import annotations

import pytest

from clusters.rehearsal import plan
from clusters.rehearsal.plan import Step


def test_steps_happen_in_the_order_of_their_moments() -> None:
    steps = plan.read(
        "9 * heal\n# a comment\n\n 2.5 slurm-1 time_out programs=squeue,sacct times=3"
    )
    assert [step.after_s for step in steps] == [2.5, 9]
    assert steps[0].details == {"programs": ["squeue", "sacct"], "times": 3}
    assert str(steps[0]) == "slurm-1 time_out programs=squeue,sacct times=3"


def test_a_step_without_a_moment_happens_at_once() -> None:
    (step,) = plan.read("pbs forget share=0.5")
    assert (step.after_s, step.details) == (0, {"share": 0.5})


@pytest.mark.parametrize(
    ("where", "hits"),
    [
        ("*", ["slurm-1", "slurm-2", "pbs-1"]),
        ("slurm", ["slurm-1", "slurm-2"]),
        ("slurm-2", ["slurm-2"]),
        ("torque", []),
    ],
)
def test_a_step_hits_the_sites_that_it_names(where: str, hits: list[str]) -> None:
    step = Step(f"{where} time_out")
    sites = [("slurm-1", "slurm"), ("slurm-2", "slurm"), ("pbs-1", "pbs")]
    assert [name for name, kind in sites if step.hits(name, kind)] == hits


def test_plain_processes_have_agents_that_die_but_no_scheduler() -> None:
    assert Step("* agent_kill").hits("process-1", "process")
    assert not Step("* time_out").hits("process-1", "process")


@pytest.mark.parametrize("line", ["slurm", "5 slurm", "slurm fire", "slurm time_out three"])
def test_what_is_no_step_is_refused_in_words(line: str) -> None:
    with pytest.raises(ValueError, match=r"write|unknown"):
        Step(line)


def test_the_usual_plan_can_be_read_and_ends_well() -> None:
    steps = plan.read(plan.USUAL)
    assert steps[-1].kind == "heal"
    assert len({step.kind for step in steps}) > 12
    assert all(step.kind in plan.described() for step in steps)
