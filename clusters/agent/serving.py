"""Keeps servers of models as the portal wants them: prepared, started, probed, restarted, given up.

Called by the loop's thread only; whatever may take long runs in pools of its own, so that runs and
exchanges never wait for a model. Each step is on disk before the next begins: a killed agent finds
its servers again by the journal and by their runtimes. `advance` looks at one replica and does what
is due; calling it again does no harm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from clusters.agent.allotment import Held
from clusters.agent.carriage import OpenCarriage
from clusters.agent.config import Config
from clusters.agent.journal import Journal, JournalFull
from clusters.agent.lifecycle import Lifecycle
from clusters.agent.loop import EventLoop
from clusters.agent.protocol import ReplicaState
from clusters.agent.runtimes.base import Runtime
from clusters.agent.serving_address import NoAddress, own_address
from clusters.agent.serving_contract import Contracts
from clusters.agent.serving_endings import Endings
from clusters.agent.serving_health import Health
from clusters.agent.serving_instructions import Instruction, read_instructions
from clusters.agent.serving_journal import ServingJournal
from clusters.agent.serving_launches import Launches
from clusters.agent.serving_preparation import ServingPreparation
from clusters.agent.serving_records import Ending, Replica, Traffic, Wanted
from clusters.agent.serving_watching import ServingWatching
from clusters.agent.workers import Workers

log = logging.getLogger(__name__)

TICK_S = 0.25
SURVEY_S, STRAYS_S = 600.0, 300.0
PREPARING, ACTING, PROBING = 2, 2, 4  # threads
# What an instruction may change of a replica that is known.
TAKEN = (
    *("generation", "spec", "wanted", "failures", "again_at", "contract", "check"),
    *("ending", "state", "why", "since", "revision"),
)


class Survey(NamedTuple):
    """What each runtime said of itself, where models listen, or why they cannot."""

    known: dict[str, dict[str, Any]] | None
    host: str
    problem: str


class Serving:
    """All replicas of one agent, beside its runs, with which they share the machine."""

    def __init__(
        self,
        config: Config,
        *,
        loop: EventLoop,
        journal: Journal,
        lifecycle: Lifecycle,
        open_carriage: OpenCarriage,
        runtimes: Callable[[], Mapping[str, Runtime]],
    ) -> None:
        self.config = config
        self.loop = loop
        self.journal = ServingJournal(journal)
        self.lifecycle, self.rations = lifecycle, lifecycle.rations
        self.news, self.superseded = lifecycle.news, lifecycle.superseded
        self.replicas: dict[str, Replica] = {}
        self.runtimes: Mapping[str, Runtime] = {}
        self.known: dict[str, dict[str, Any]] | None = None  # what each runtime said of itself
        self.host, self.no_address = "", ""  # where models listen, or why they cannot
        self.busy: set[str] = set()
        self.preparation = ServingPreparation(config, open_carriage)
        self.launches = Launches(self)
        self.endings = Endings(self)
        self.watching = ServingWatching(self)
        self.health = Health(self)
        self.contracts = Contracts(self)
        self._make_runtimes = runtimes
        self._standing = False
        self.rations.models, self.rations.reserved = self._held, self._reserved

    # What is there

    def restore(self) -> None:
        """Know what the journal knows; nothing is done about it before `begin`."""
        self.replicas = {one.replica: one for one in self.journal.replicas()}

    def begin(self) -> None:
        """This agent stays: look after the replicas from now on."""
        self._standing = True
        self.preparing = Workers(PREPARING, self.loop.post)
        self.acting = Workers(ACTING, self.loop.post)
        self.probing = Workers(PROBING, self.loop.post)
        if self.config.serving.refusal and not self.replicas:
            return
        self.runtimes = self._make_runtimes()
        for one in self.replicas.values():
            self.advance(one)
        self.loop.every(TICK_S, self._tick)
        self.loop.every(STRAYS_S, self._clear_strays)
        self._survey()

    @property
    def active(self) -> int:
        """How much is under way that had better be finished before this process is replaced."""
        return self.preparing.active + self.acting.active if self._standing else 0

    def _survey(self) -> None:
        """Ask the runtimes what they can do here, and where the portal reaches this node."""

        def surveyed(found: Survey | None, error: Exception | None) -> None:
            if error is not None or found is None:
                log.error("the runtimes for models cannot be asked", exc_info=error)
                found = Survey(self.known or {}, self.host, self.no_address)
            before = Survey(self.known, self.host, self.no_address)
            self.known, self.host, self.no_address = found
            self.loop.later(SURVEY_S, self._survey)
            if found != before:
                self.news(0.0)
            if found.problem and found != before:
                log.error("no model can be served here: %s", found.problem)
            if before.known is None:
                self._clear_strays()
                for one in list(self.replicas.values()):
                    self.advance(one)

        def survey() -> Survey:
            known = {
                kind: about
                for kind, runtime in self.runtimes.items()
                if (about := runtime.about()) is not None
            }
            try:
                return Survey(known, own_address(self.config), "")
            except NoAddress as error:
                return Survey(known, self.host, "" if self.host else str(error))

        self.acting.submit(survey, surveyed)

    # What the portal hears

    def report(self) -> list[dict[str, Any]]:
        return [one.entry() for one in self.replicas.values()]

    def capacity(self) -> dict[str, Any]:
        """Return the part of the exchange's capacity that says which models are welcome here."""
        refused = self.config.serving.refusal or self.no_address
        if not self._standing or refused or not self.known:
            return {}
        runs = self.lifecycle.records.values()
        free = self.rations.capacity(runs, self.lifecycle.busy).get("free", {})
        return {
            "serving": {
                "runtimes": self.known,
                "host": self.host,
                "free": {name: free.get(name) for name in ("cores", "memory_mib", "gpus")},
            }
        }

    # What the portal wants

    def take_in(self, told: Any) -> bool:
        """Put the instructions of a reply on disk, then act on them; return whether they brought
        anything new. Raises JournalFull where the disk does not take them.
        """
        changed: dict[str, Replica] = {}
        for one in read_instructions(told):
            known = self.replicas.get(one.replica)
            if known is not None and one.traffic is not None:
                known.traffic = Traffic(*one.traffic, told_at=time.monotonic())
                self.health.heard_of_traffic(known)
            wanted = self._change(known, one)
            if wanted is not None:
                wanted.stepped()
                changed[one.replica] = wanted
        self.journal.take_in(changed.values())
        for name, copy in changed.items():
            known = self.replicas.setdefault(name, copy)
            for field in TAKEN:
                setattr(known, field, getattr(copy, field))
            self.launches.hurry(known)
            self.advance(known)
        return bool(changed)

    def _change(self, known: Replica | None, told: Instruction) -> Replica | None:
        """Return a copy of the replica as an instruction wants it, None where nothing changes."""
        if known is None:
            if told.wanted is not Wanted.SERVE:
                return None
            return self._renewed(Replica(told.replica, 0, {}), told)
        late = told.generation is not None and told.generation < known.generation
        if late or known.wanted is Wanted.REMOVE:
            return None
        anew = told.generation is not None and told.generation > known.generation
        if told.wanted is Wanted.SERVE and (anew or known.wanted is not Wanted.SERVE):
            return self._renewed(known, told)
        if told.wanted in (None, Wanted.SERVE, known.wanted):
            return None
        return replace(known, wanted=told.wanted, why=told.why or known.why)

    def _renewed(self, known: Replica, told: Instruction) -> Replica:
        """Return a replica as a new generation begins it; what runs of the old one ends first."""
        refused = self.config.serving.refusal
        fresh = replace(
            known,
            generation=told.generation or known.generation,
            spec=dict(told.spec or known.spec),
            wanted=Wanted.SERVE,
            failures=0,
            again_at=None,
            contract=None,
            check=None,
        )
        if known.begun:
            return replace(fresh, ending=Ending.RENEWED)
        state = ReplicaState.GIVEN_UP if refused else ReplicaState.PREPARING
        return replace(fresh, state=state, why=refused, since=time.time())

    # Steps

    def advance(self, one: Replica) -> None:
        """Do what is due for one replica; a worker that is busy with it will call again."""
        if not self._standing or self.superseded():
            if self.config.serving.refusal and one.wanted is Wanted.REMOVE and not one.begun:
                self.forget(one)  # of what was refused there is nothing to clean up
            return
        if one.replica in self.busy:
            self.contracts.break_off(one)
            return
        if one.begun and not self.launches.adopted(one):
            self.launches.adopt(one)
        elif one.begun:
            if one.wanted is not Wanted.SERVE or one.ending is not Ending.NONE:
                self.endings.end(one)
        elif one.wanted is Wanted.REMOVE:
            self.endings.remove(one)
        elif one.wanted is Wanted.STOP:
            if one.state is not ReplicaState.STOPPED:
                self.move(one, ReplicaState.STOPPED, one.why)
        elif self.launches.due(one):
            self.launches.begin(one)

    def _tick(self) -> None:
        if self.superseded():
            return
        for one in list(self.replicas.values()):
            if one.begun and self.launches.adopted(one):
                self.endings.kill_if_due(one)
                self.health.tick(one)
            elif not one.restful or self.launches.due(one):
                self.advance(one)
        self.watching.tick()

    def _clear_strays(self) -> None:
        """End launches of ours that nobody knows any more, as a lost work folder leaves them."""
        known = list(self.replicas)

        def clear() -> list[str]:
            found = []
            for kind in self.known or {}:
                runtime = self.runtimes[kind]
                for handle in runtime.strays(known):
                    runtime.signal(handle, kill=True)
                    runtime.remove(handle)
                    found.append(f"{kind} {handle.reference[:40]}")
            return found

        def cleared(found: list[str] | None, error: Exception | None) -> None:
            if error is not None:
                log.warning("strays cannot be looked for: %s", error)
            elif found:
                log.warning("ended what nobody knows any more: %s", ", ".join(found))

        if self.known and not self.superseded():
            self.acting.submit(clear, cleared)

    # Room

    def _held(self) -> list[Held]:
        return [one.held for one in self.replicas.values() if one.begun]

    def _reserved(self) -> list[Held]:
        """What those that wait will take, so that runs do not take it first again and again."""
        held, reserved = self._held(), []
        for one in self.replicas.values():
            if one.waits and not one.begun:
                room = self.rations.reserve(one.need, [*held, *reserved])
                reserved += [room] if room else []
        return reserved

    # Keeping book

    def move(self, one: Replica, state: ReplicaState, why: str = "") -> bool:
        """Bring a replica to a state; return whether that is on disk."""
        if one.state is not state:
            one.since = time.time()
        one.state, one.why = state, why[:500]
        self.news(0.0)
        return self.save(one)

    def save(self, one: Replica) -> bool:
        one.stepped()
        try:
            self.journal.save(one)
        except JournalFull:
            log.error("the journal is full", extra={"replica": one.replica})
            return False
        return True

    def forget(self, one: Replica) -> None:
        try:
            self.journal.forget(one)
        except JournalFull:
            return  # tried again by the next look
        self.replicas.pop(one.replica, None)
        self.launches.forget(one)
        self.health.forget(one)
        self.contracts.forget(one)
        self.news(0.0)

    def work(
        self,
        one: Replica,
        pool: Workers,
        task: Callable[[], Any],
        answer: Callable[[Any, Exception | None], None],
    ) -> None:
        """Have a thread do a task for a replica; nothing else is begun for it meanwhile."""

        def answered(result: Any, error: Exception | None) -> None:
            self.busy.discard(one.replica)
            if not self.superseded():
                answer(result, error)

        self.busy.add(one.replica)
        pool.submit(task, answered)
