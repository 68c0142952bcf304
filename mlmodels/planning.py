"""What to do about the replicas of a model, from what is wanted and what is there. Pure, and
level-triggered: whatever was lost on the way, the next look plans it again.

An update never fails a call: the new version comes up beside the old one, takes over once as many
of it are ready as of the old, and the old one ends after its last answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

#: Proxies have heard that a replica drains after so long, in seconds; none sends it a call then.
DRAIN_LEAST_S = 3.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """`current`: the version that should serve; `serving`: the one that takes the calls."""

    running: bool
    kept: bool  # stopped replicas are kept for the next start; False: the model was deleted
    current: int | None
    serving: int | None
    count: int
    drain_s: float  # a call may take so long


@dataclass(frozen=True, slots=True)
class Standing:
    """A replica that is not removed. `answers`: ready, by its agent; `stays`: its cluster may go on
    serving it; `drains_s`: since when it takes no new calls; `in_flight` None: nobody knows.
    """

    id: UUID
    version: int
    stopped: bool  # wanted so
    answers: bool
    stays: bool = True
    given_up: bool = False
    drains_s: float | None = None
    in_flight: int | None = 0
    age_s: float = 0.0


@dataclass(slots=True)
class Plan:
    """`missing`: replicas of the current version for which a place is to be found; `spare`: stopped
    ones that may be taken for that; `switch`: the current version takes the calls from now on.
    """

    stop: list[UUID] = field(default_factory=list)
    drain: list[UUID] = field(default_factory=list)
    remove: list[UUID] = field(default_factory=list)
    spare: list[UUID] = field(default_factory=list)
    missing: int = 0
    switch: bool = False
    #: Where no place is found: one of these may end early to make room, since another answers.
    squeezable: list[UUID] = field(default_factory=list)


def plan(wanted: Wanted, replicas: Sequence[Standing]) -> Plan:
    made = Plan()
    active = [r for r in replicas if r.drains_s is None]
    for one in replicas:
        if one.drains_s is not None and _is_drained(one, wanted):
            made.remove.append(one.id)
    if not wanted.running or wanted.current is None:
        _end_all(wanted, active, made)
        return made
    mine = [r for r in active if r.version == wanted.current]
    made.spare = [r.id for r in mine if r.stopped]
    serving = [r for r in mine if not r.stopped]
    good = sorted((r for r in serving if r.stays), key=_worth, reverse=True)
    leaving = [r for r in serving if not r.stays]
    made.missing = max(0, wanted.count - len(good))
    good, surplus = good[: wanted.count], good[wanted.count :]
    ready = sum(r.answers for r in good)
    for one in surplus:
        _dismiss(one, made)
    for one in leaving:
        if ready >= wanted.count or (not one.answers and not made.missing):
            _dismiss(one, made)
    others = [r for r in active if r.version != wanted.current]
    _hand_over(wanted, others, ready, made)
    return made


def _end_all(wanted: Wanted, active: Sequence[Standing], made: Plan) -> None:
    for one in active:
        if not wanted.kept or one.version != wanted.current or not one.stays:
            made.remove.append(one.id)
        elif not one.stopped:
            made.stop.append(one.id)


def _hand_over(wanted: Wanted, others: Sequence[Standing], ready: int, made: Plan) -> None:
    """`others` are of other versions than the one that should serve; `ready` of that one are."""
    old = [r for r in others if r.version == wanted.serving and not r.stopped]
    answering = [r for r in old if r.answers]
    made.switch = wanted.serving != wanted.current and ready >= max(
        1, min(wanted.count, len(answering))
    )
    keep = set() if made.switch or wanted.serving == wanted.current else {r.id for r in old}
    for one in others:
        if one.id not in keep:
            _dismiss(one, made)
    if keep and len(answering) > 1:
        made.squeezable = [r.id for r in sorted(answering, key=lambda r: r.age_s)]


def _dismiss(one: Standing, made: Plan) -> None:
    """One that answers calls ends after the last of them."""
    (made.drain if one.answers and not one.stopped else made.remove).append(one.id)


def _is_drained(one: Standing, wanted: Wanted) -> bool:
    if one.drains_s is None:
        return False
    if not one.answers or one.drains_s >= wanted.drain_s:
        return True
    return one.in_flight == 0 and one.drains_s >= DRAIN_LEAST_S


def _worth(one: Standing) -> tuple[bool, bool, float]:
    return (one.answers, not one.given_up, one.age_s)
