"""The course of one execution: ranks join, form a generation, take partitions, and reduce.

Knows neither sockets nor processes: it is told what happened, and says what is to be sent, ended or
replaced. A rank that is lost or slow is fenced off; its partitions go to the others, and the next
collective is done by a new generation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from calculations.software.torch_inference.program import sums
from calculations.software.torch_inference.program.channel import Message
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.work import CHANNEL

REPLACEMENTS = 3  # where no rank is left
COLLECTIVE_TRIES = 3  # by torch, before the run's own connection adds up
SLOW_FACTOR = 4.0  # of the longest batch of any rank: without a batch for so long it is slow


class Phase(Enum):
    JOINING = "joining"
    FORMING = "forming"
    WORKING = "working"
    REDUCING = "reducing"
    DONE = "done"


class Ports(Protocol):
    """What the coordinator has done by others."""

    def send(self, rank: int, message: Message) -> None: ...

    def end(self, rank: int, why: str) -> None: ...

    def replace(self, rank: int) -> None: ...

    def committed(self, partition: int, message: Message, body: bytes) -> None: ...

    def abandon(self) -> None:
        """Let nobody wait any longer for what a rank that is gone was to say."""
        ...

    def said(self, words: str) -> None: ...


@dataclass(eq=False)
class Member:
    """One incarnation of a rank. `waits` since when it has nothing to do, `moved_at` when it last
    finished a batch; times on the coordinator's clock.
    """

    rank: int
    queue: deque[int] = field(default_factory=deque)
    joined: bool = False
    alive: bool = True
    current: int | None = None
    parked: bool = False
    answered: bool = False
    heard_at: float = 0.0
    moved_at: float = 0.0
    batches: int = 0
    own_mib: float = 0.0
    statistics: Sequence[float] = ()


class Coordinator:
    """`shares` are the partitions of each rank, by the plan; `described` is what a rank is told of
    a partition.
    """

    def __init__(
        self,
        shares: Sequence[Sequence[int]],
        described: Sequence[Message],
        ports: Ports,
        *,
        backend: str,
        patience_s: float,
        start_s: float,
        clock: Callable[[], float],
    ) -> None:
        self.ports, self.clock = ports, clock
        self.backend, self.patience_s, self.start_s = backend, patience_s, start_s
        self.timeout_s = max(30.0, 3 * patience_s)
        self.described = described
        self.members = {rank: Member(rank, deque(share)) for rank, share in enumerate(shares)}
        self.owner: dict[int, Member] = {}
        self.found: dict[int, list[float]] = {}
        self.phase = Phase.JOINING
        self.generation = 0
        self.formed = -1
        self.since = clock()
        self.marks: dict[str, float] = {}
        self.lost_ranks: list[dict[str, Any]] = []
        self.moved = 0
        self.total: list[float] = []
        self.statistics: dict[int, Sequence[float]] = {}
        self.peak_mib = 0.0
        self._orphans: deque[int] = deque()
        self._broken = False
        self._failures: list[str] = []
        self._why = ""
        self._replaced = 0
        self._longest_batch_s = 0.0
        self._reduced: dict[int, Message] = {}

    @property
    def living(self) -> list[Member]:
        return [member for _, member in sorted(self.members.items()) if member.alive]

    @property
    def done(self) -> bool:
        return self.phase is Phase.DONE

    # What happened

    def joined(self, rank: int) -> bool:
        """Whether a rank that calls is wanted; it is a member from then on."""
        member = self.members.get(rank)
        if member is None or not member.alive or member.joined:
            return False
        member.joined = True
        member.heard_at = member.moved_at = self.clock()
        self._go_on()
        return True

    def heard(self, rank: int, message: Message, body: bytes) -> None:
        """Take in what a living rank says. Raises Problem where it says that nothing helps."""
        member = self.members[rank]
        if not member.alive:
            return
        member.heard_at = self.clock()
        kind = message.get("t")
        if kind == "beat":
            self._beat(member, message)
        elif kind == "next":
            self._next(member)
        elif kind == "commit":
            self._commit(member, message, body)
        elif kind in ("formed", "reduced", "failed"):
            self._answered(member, message)
        elif kind == "problem":
            raise Problem.from_json(message)

    def lost(self, rank: int, why: str) -> None:
        """Take a rank out: its partitions go to the others. Raises Problem where none is left."""
        member = self.members.get(rank)
        if member is None or not member.alive or self.done:
            return
        member.alive = False
        moved = [*([] if member.current is None else [member.current]), *member.queue]
        self._orphans.extend(moved)
        member.queue.clear()
        self.lost_ranks.append(
            {
                "rank": rank,
                "why": why,
                "phase": self.phase.value,
                "generation": self.generation,
                "at_s": round(self.clock(), 3),
                "unheard_s": round(self.clock() - member.heard_at, 3) if member.joined else None,
                "partitions": len(moved),
            }
        )
        self.ports.said(f"rank {rank} is lost: {why}; {len(moved)} partitions go to others")
        self.ports.end(rank, why)
        self._after_loss(member)

    def tick(self) -> None:
        """Look for ranks that are silent or slow. Raises Problem."""
        now = self.clock()
        for member in self.living:
            why = self._trouble(member, now)
            if why:
                self.lost(member.rank, why)

    def _trouble(self, member: Member, now: float) -> str:
        if not member.joined:
            late = now - self.since > self.start_s
            return f"it did not join within {self.start_s:g} s" if late else ""
        silent = now - member.heard_at
        if silent > self.patience_s:
            return f"nothing was heard of it for {silent:.1f} s"
        if self.phase in (Phase.FORMING, Phase.REDUCING):
            late = not member.answered and now - self.since > self.timeout_s + self.patience_s
            return "it did not end a collective operation in time" if late else ""
        stuck = now - member.moved_at
        allowed = max(self.patience_s, SLOW_FACTOR * self._longest_batch_s)
        busy = self.phase is Phase.WORKING and member.current is not None
        if busy and self._longest_batch_s and stuck > allowed and len(self.living) > 1:
            longest = self._longest_batch_s
            return f"no batch in {stuck:.1f} s, where the longest took {longest:.2f} s"
        return ""

    # Joining and forming

    def _go_on(self) -> None:
        if self.phase is Phase.JOINING and all(member.joined for member in self.living):
            self.marks.setdefault("joined", self.clock())
            self._form()

    def _form(self) -> None:
        self._enter(Phase.FORMING)
        message = {
            "t": "form",
            "generation": self.generation,
            "members": [member.rank for member in self.living],
            "backend": self.backend,
            "timeout_s": self.timeout_s,
        }
        for member in self.living:
            self.ports.send(member.rank, message)

    def _enter(self, phase: Phase) -> None:
        self.phase, self.since, self._broken = phase, self.clock(), False
        self._reduced = {}
        for member in self.living:
            member.answered = False

    def _answered(self, member: Member, message: Message) -> None:
        if message.get("generation") != self.generation or member.answered:
            return
        member.answered = True
        if message["t"] == "failed":
            self._broken = True
            self._why = f"rank {member.rank}: {message.get('why')}"[:300]
        elif message["t"] == "reduced":
            self._reduced[member.rank] = message
        self._all_answered()

    def _all_answered(self) -> None:
        if not all(member.answered for member in self.living):
            return
        if self._broken:
            self._again()
        elif self.phase is Phase.FORMING:
            self.formed = self.generation
            self.marks.setdefault("started", self.clock())
            self._work()
        elif self.phase is Phase.REDUCING:
            self._finish()

    def _again(self) -> None:
        """Try a collective again, by a new generation."""
        self.generation += 1
        if self._why:
            self._failures.append(self._why)
            self._why = ""
        if len(self._failures) >= COLLECTIVE_TRIES and self.backend != CHANNEL:
            self.ports.said(f"{self.backend} does not work here: {self._failures[-1]}")
            self.backend = CHANNEL
        self._form()

    # Working

    def _work(self) -> None:
        if len(self.found) == len(self.described):
            self._reduce()
            return
        self._enter(Phase.WORKING)
        for member in self.living:
            member.moved_at, member.parked = self.clock(), False
            self.ports.send(member.rank, {"t": "work"})

    def _next(self, member: Member) -> None:
        if self.phase is not Phase.WORKING:
            return
        partition = self._pick(member)
        if partition is None:
            member.parked = True
            self._work_done()
            return
        member.parked, member.current = False, partition
        member.moved_at = self.clock()
        self.ports.send(member.rank, {"t": "take", "partition": self.described[partition]})

    def _pick(self, member: Member) -> int | None:
        """The next partition: its own, one that a lost rank left, or the last of the busiest."""
        if member.queue:
            return member.queue.popleft()
        if self._orphans:
            return self._orphans.popleft()
        waiting = [other for other in self.living if other.queue and other.current is not None]
        if waiting:
            self.moved += 1
            return max(waiting, key=lambda other: len(other.queue)).queue.pop()
        return None

    def _commit(self, member: Member, message: Message, body: bytes) -> None:
        partition = int(message["partition"])
        if partition != member.current or partition in self.found:
            return
        member.current, member.statistics = None, message["statistics"]
        self._progressed(member, member.batches)
        self.found[partition] = [float(value) for value in message["sums"]]
        self.owner[partition] = member
        self.ports.committed(partition, {**message, "rank": member.rank}, body)
        self._work_done()

    def _work_done(self) -> None:
        if self.phase is Phase.WORKING and len(self.found) == len(self.described):
            self.marks.setdefault("worked", self.clock())
            if self.formed == self.generation:
                self._reduce()
            else:
                self._form()

    def _beat(self, member: Member, message: Message) -> None:
        batches = int(message.get("batches", 0))
        if batches > member.batches:
            self._progressed(member, batches)
        if "own_mib" in message:
            member.own_mib = float(message["own_mib"] or 0.0)
            self.peak_mib = max(self.peak_mib, sum(m.own_mib for m in self.living))

    def _progressed(self, member: Member, batches: int) -> None:
        now = self.clock()
        each = (now - member.moved_at) / max(1, batches - member.batches)
        self._longest_batch_s = max(self._longest_batch_s, each)
        member.batches, member.moved_at = batches, now

    # Reducing

    def _reduce(self) -> None:
        self._enter(Phase.REDUCING)
        members = self.living
        gone = [self.found[p] for p, owner in sorted(self.owner.items()) if not owner.alive]
        for member in members:
            adopted = sums.added(gone) if gone and member is members[0] else None
            message = {"t": "reduce", "generation": self.generation, "adopted": adopted}
            self.ports.send(member.rank, message)

    def _finish(self) -> None:
        members = self.living
        answers = [self._reduced[member.rank] for member in members]
        if self.backend == CHANNEL:
            self.total = sums.added([answer["total"] for answer in answers])
            rows = [answer["statistics"][0] for answer in answers]
        else:
            self.total, rows = answers[0]["total"], answers[0]["statistics"]
        self.statistics = {
            rank: member.statistics for rank, member in self.members.items() if member.statistics
        }
        self.statistics.update({m.rank: row for m, row in zip(members, rows)})
        self.marks["reduced"] = self.clock()
        self.phase = Phase.DONE
        for member in members:
            self.ports.send(member.rank, {"t": "leave"})

    # Losing

    def _after_loss(self, member: Member) -> None:
        if not self.living:
            self._replace(member)
        elif self.phase is Phase.JOINING:
            self._go_on()
        elif self.phase is Phase.WORKING:
            self.generation += 1
            for other in self.living:
                if other.parked:
                    self._next(other)
        else:
            self._broken = True
            self.ports.abandon()
            self._all_answered()

    def _replace(self, member: Member) -> None:
        if self._replaced >= REPLACEMENTS:
            raise Problem(
                "ranks_lost",
                "Every rank was lost, and so were those that replaced them.",
                "Often that is the machine's lack of memory: ask for more, or for fewer ranks.",
                *[f"rank {item['rank']}: {item['why']}" for item in self.lost_ranks[-5:]],
            )
        self._replaced += 1
        self.generation += 1
        self.members[member.rank] = Member(member.rank, self._orphans)
        self._orphans = deque()
        self.phase, self.since = Phase.JOINING, self.clock()
        self.ports.replace(member.rank)

    def report(self) -> Mapping[str, Any]:
        """What is worth telling of the course."""
        return {
            "generations": self.generation + 1,
            "lost_ranks": self.lost_ranks,
            "moved_partitions": self.moved,
            "collectives": self.backend,
            "collective_failures": self._failures,
        }
