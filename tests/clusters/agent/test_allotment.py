"""Who starts next on one machine: nothing is given twice, nobody starves, gaps are used."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.agent.allotment import Held, Machine, Need, free_room, of_type, plan

H200 = "NVIDIA H200"


def machine(
    slots: int = 4, cores: int = 4, memory_mib: int = 8192, gpus: tuple[int, ...] = ()
) -> Machine:
    return Machine(slots, cores, memory_mib, dict.fromkeys(gpus, H200))


def need(cores: int = 1, gpus: int = 0, walltime_s: int = 60, memory_mib: int = 1, **more) -> Need:
    return Need(cores, memory_mib, gpus, walltime_s=walltime_s, **more)


def held(need: Need, *gpus: int, ends_at: float = 60) -> Held:
    return Held(need, gpus, ends_at)


def test_runs_start_in_order_of_arrival_while_there_is_room() -> None:
    found = plan(machine(cores=2), [], [need(), need(), need()], now=0)
    assert [position for position, _ in found.starts] == [0, 1]
    assert found.first == 2


def test_gpus_are_given_by_index_and_not_twice() -> None:
    runs = [need(gpus=1), need(gpus=2), need(gpus=1)]
    found = plan(machine(gpus=(0, 1, 2, 3)), [held(need(gpus=1), 1)], runs, now=0)
    assert found.starts == [(0, (0,)), (1, (2, 3))]


def test_a_wide_run_is_not_starved_by_narrow_ones() -> None:
    wide, narrow = need(cores=4), need(cores=1, walltime_s=1000)
    found = plan(machine(), [held(need(cores=2), ends_at=30)], [wide, narrow, narrow], now=0)
    assert found.starts == []
    assert found.first == 0


def test_a_short_run_uses_the_gap_before_a_reservation() -> None:
    running, wide = held(need(cores=2), ends_at=100), need(cores=4)
    short, long = need(walltime_s=90), need(walltime_s=110)
    assert plan(machine(), [running], [wide, short], now=0).starts == [(1, ())]
    assert plan(machine(), [running], [wide, long], now=0).starts == []


def test_what_a_reservation_does_not_need_is_not_kept_back() -> None:
    running = held(need(gpus=1), 0, ends_at=100)
    wide, long = need(gpus=2), need(gpus=0, walltime_s=9000)
    one_gpu = need(gpus=1, walltime_s=9000)
    found = plan(machine(gpus=(0, 1)), [running], [wide, one_gpu, long], now=0)
    assert found.starts == [(2, ())]


def test_nobody_waits_for_a_run_that_waits_for_somebody_elses_program() -> None:
    found = plan(machine(gpus=(0, 1)), [], [need(gpus=2), need(gpus=1)], now=0, unusable={1})
    assert found.starts == [(1, (0,))]
    assert found.first == 0


def test_a_run_that_wants_the_machine_alone_gets_it_alone() -> None:
    alone = need(alone=True)
    assert plan(machine(), [held(need())], [alone], now=0).starts == []
    assert plan(machine(), [], [alone, need()], now=0).starts == [(0, ())]


def test_without_bounds_only_slots_count() -> None:
    found = plan(Machine(2), [], [need(cores=500, gpus=8)] * 3, now=0)
    assert found.starts == [(0, ()), (1, ())]
    assert Machine(2).refusal(need(cores=500, gpus=8, nodes=9)) is None


def test_what_is_never_possible_is_said_with_the_remedy() -> None:
    there = machine(gpus=(0,))
    asked = need(gpus=3)
    assert there.refusal(asked) == (
        "3 GPUs, and this machine has 1 GPU",
        "Ask for at most 1",
    )
    assert machine().refusal(need(gpus=1)) == (
        "1 GPU, and this machine has no GPU",
        "Ask for no GPU",
    )
    kind = there.refusal(Need(gpus=1, gpu_type="a100"))
    assert kind is not None
    assert "of the type a100" in kind[0]
    assert there.refusal(need(cores=5)) == (
        "5 cores, and this machine has 4 cores",
        "Ask for at most 4",
    )
    assert there.refusal(Need(memory_mib=9000)) is not None
    assert there.refusal(need(nodes=2)) is not None
    assert there.refusal(need(cores=4, gpus=1)) is None


def test_a_type_is_found_in_a_name_however_it_is_written() -> None:
    assert of_type("NVIDIA A100-SXM4-80GB", "a100")
    assert of_type("NVIDIA GeForce RTX 4090", "rtx-4090")
    assert of_type("NVIDIA H200", "")
    assert not of_type("NVIDIA H200", "a100")


def test_an_odd_description_counts_as_its_defaults() -> None:
    assert Need.from_spec({"resources": {"cores": "x", "gpus": -1, "memory_mib": None}}) == Need()
    assert Need.from_spec({"resources": 7}) == Need()


needs = st.builds(
    Need,
    cores=st.integers(1, 4),
    memory_mib=st.integers(1, 4096),
    gpus=st.integers(0, 3),
    walltime_s=st.integers(1, 50),
    alone=st.booleans(),
)


@dataclass
class Simulation:
    """A machine on which runs end at random before their walltime; checks itself at each step."""

    machine: Machine
    waiting: list[tuple[int, Need]]
    ends: list[int]
    running: list[tuple[int, int, Held]] = field(default_factory=list)  # number, real end, held
    deadline: dict[int, float] = field(default_factory=dict)
    started: list[int] = field(default_factory=list)

    def step(self, now: int) -> None:
        self.running = [one for one in self.running if one[1] > now]
        holding = [one[2] for one in self.running]
        found = plan(self.machine, holding, [n for _, n in self.waiting], now=now)
        if found.first is not None:
            number = self.waiting[found.first][0]
            starts = [Held(self.waiting[p][1], g, now) for p, g in found.starts if p < found.first]
            ends = [one.ends_at for one in holding]
            ends += [now + one.need.walltime_s for one in starts]
            if found.first == 0:
                self.deadline.setdefault(number, max(ends))
        for position, gpus in found.starts:
            number, need = self.waiting[position]
            assert now <= self.deadline.get(number, now), "it was put off beyond its reservation"
            self.started.append(number)
            real_end = now + 1 + self.ends[number] % need.walltime_s
            self.running.append((number, real_end, Held(need, gpus, now + need.walltime_s)))
            assert len(gpus) == need.gpus
        gone = {self.waiting[position][0] for position, _ in found.starts}
        self.waiting = [one for one in self.waiting if one[0] not in gone]
        self.within_bounds()

    def within_bounds(self) -> None:
        given = [index for _, _, one in self.running for index in one.gpus]
        assert len(given) == len(set(given))
        room = free_room(self.machine, [one for _, _, one in self.running])
        assert min(room.slots, room.cores, room.memory_mib) >= 0
        assert not any(one.need.alone for _, _, one in self.running) or len(self.running) == 1


@settings(max_examples=150, deadline=None)
@given(st.lists(needs, min_size=1, max_size=12), st.lists(st.integers(0, 50), min_size=12))
def test_whatever_comes_all_start_in_time_and_nothing_is_given_twice(
    asked: list[Need], ends: list[int]
) -> None:
    there = machine(slots=3, memory_mib=4096, gpus=(0, 1, 2))
    simulation = Simulation(there, list(enumerate(asked)), ends)
    for now in range(12 * 51):
        simulation.step(now)
        if not simulation.waiting:
            break
    assert sorted(simulation.started) == list(range(len(asked)))
