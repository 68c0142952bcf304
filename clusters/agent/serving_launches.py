"""The starts of a replica: prepared, given room, started once, found again.

A part of `serving`, called by the loop's thread. What a runtime is asked runs in a pool.
"""

from __future__ import annotations

import logging
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from clusters.agent.devices import DeviceBusy, DevicesSilent
from clusters.agent.protocol import ReplicaState
from clusters.agent.runtimes.base import Handle, Launch, RuntimeFailed, Status
from clusters.agent.serving_config import ENGINES, PROCESS
from clusters.agent.serving_contract import is_test
from clusters.agent.serving_instructions import read_spec
from clusters.agent.serving_preparation import NotYet, Prepared
from clusters.agent.serving_records import LONGEST_PAUSE_S, Ending, Replica, Wanted

if TYPE_CHECKING:
    from clusters.agent.serving import Serving

log = logging.getLogger(__name__)

RETRY_S, WAIT_S = 10.0, 1.0
# Trying again does not help: the same content is refused again.
HOPELESS = frozenset({"bad_files", "folder_refused", "image_refused", "environment"})


class Launches:
    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self._prepared: dict[str, Prepared] = {}
        self._adopted: set[str] = set()
        self._not_before: dict[str, float] = {}  # monotonic

    def adopted(self, one: Replica) -> bool:
        """Whether this process of the agent knows the launch that is there."""
        return one.replica in self._adopted

    def due(self, one: Replica) -> bool:
        """Whether it is this replica's turn to be started, or tried again."""
        if time.monotonic() < self._not_before.get(one.replica, 0.0):
            return False
        if one.begun or one.wanted is Wanted.REMOVE:
            return True
        if one.wanted is Wanted.STOP:
            return one.state is not ReplicaState.STOPPED
        if one.state is ReplicaState.BACKING_OFF:
            left = (one.again_at or 0.0) - time.time()
            return not 0 < left <= LONGEST_PAUSE_S  # a clock that was set back holds nothing up
        return one.state not in (ReplicaState.GIVEN_UP, ReplicaState.STOPPED)

    def gone(self, one: Replica) -> None:
        """Its launch is not there any more."""
        self._adopted.discard(one.replica)

    def postpone(self, one: Replica, seconds: float = RETRY_S) -> None:
        self._not_before[one.replica] = time.monotonic() + seconds

    def hurry(self, one: Replica) -> None:
        """Something else is wanted: what was put off is not any more."""
        self._not_before.pop(one.replica, None)

    def forget(self, one: Replica) -> None:
        self._prepared.pop(one.replica, None)
        self._not_before.pop(one.replica, None)
        self._adopted.discard(one.replica)

    # Up to the start

    def begin(self, one: Replica) -> None:
        """Make a replica ready, then start it as soon as there is room."""
        refusal = self.serving.config.serving.refusal
        if one.waits and one.replica in self._prepared:
            self._start(one)
            return
        try:
            spec = read_spec(one.spec)
        except ValueError as error:
            refusal = refusal or str(error)
        if refusal:
            self.serving.endings.give_up(one, refusal)
            return
        if self.serving.known is None:
            return  # the survey of the runtimes calls again
        if self.serving.no_address:
            self.serving.endings.fail(one, self.serving.no_address)
            return
        kind = self._kind(spec.runtime)
        if kind is None:
            self.serving.endings.fail(one, self._no_runtime(spec.runtime))
            return
        if one.state is not ReplicaState.PREPARING:
            self.serving.move(one, ReplicaState.PREPARING)
        one.runtime, generation = kind, one.generation
        runtime, preparation = self.serving.runtimes[kind], self.serving.preparation

        def prepared(found: Prepared | None, error: Exception | None) -> None:
            if one.wanted is not Wanted.SERVE or one.generation != generation:
                self.serving.advance(one)
            elif found is None:
                self._unprepared(one, error or RuntimeError("nothing was prepared"))
            else:
                self._prepared[one.replica], one.prepared = found, found.about
                self._start(one)

        task = partial(preparation.prepare, spec, generation, runtime)
        self.serving.work(one, self.serving.preparing, task, prepared)

    def _kind(self, runtime: str) -> str | None:
        """Return the runtime of this node that does what a version asks for."""
        wanted = (PROCESS,) if runtime == PROCESS else ENGINES
        known = self.serving.known or {}
        return next((kind for kind in known if kind in wanted), None)

    def _no_runtime(self, runtime: str) -> str:
        here = socket.gethostname()
        if runtime == PROCESS:
            return (
                f"{here} runs no models as processes: add process to [serving] runtimes in the "
                "settings of its agent, or use another cluster"
            )
        return (
            f"neither podman nor docker can be used on {here} by the account of the agent: "
            "labportal-agent check tells what is missing"
        )

    def _unprepared(self, one: Replica, error: Exception) -> None:
        if isinstance(error, NotYet):
            self._later(one, str(error))
        else:
            self._failed(one, error, "prepared")

    def _failed(self, one: Replica, error: Exception | None, done: str) -> None:
        """`done`: what could not be done to it."""
        if isinstance(error, RuntimeFailed):
            self.serving.endings.fail(one, str(error), hopeless=error.code in HOPELESS)
            return
        log.error("could not be %s", done, exc_info=error, extra={"replica": one.replica})
        self.serving.endings.fail(one, f"it could not be {done}: {error}")

    def _later(self, one: Replica, why: str, seconds: float = RETRY_S) -> None:
        """Try again in a while; nothing counts as failed."""
        self.postpone(one, seconds)
        if one.state is not ReplicaState.PREPARING or one.why != why:
            self.serving.move(one, ReplicaState.PREPARING, why)

    def _start(self, one: Replica) -> None:
        """Start what is prepared, or let it wait for room."""
        serving, prepared = self.serving, self._prepared[one.replica]
        refusal = serving.rations.refusal(one.need)
        if refusal is not None:
            much, remedy = refusal
            words = (
                f"it asks for {much} ({socket.gethostname()}). {remedy}, or use another cluster."
            )
            self.serving.endings.give_up(one, words)
            return
        records, busy = serving.lifecycle.records.values(), serving.lifecycle.busy
        others = [other.held for other in serving.replicas.values() if other.begun]
        gpus, lacks = serving.rations.give(one.need, others, records, busy)
        port = self._free_port(one) if gpus is not None else None
        one.waits = gpus is None
        if gpus is None:
            self._later(one, f"it waits: {lacks}", WAIT_S)
            return
        if port is None:
            first, last = serving.config.serving.ports
            self._later(one, f"no port from {first} to {last} is free")
            return
        one.launch, one.begun, one.gpus = one.launch + 1, True, gpus
        one.host, one.port = serving.host, port
        one.handle = one.started_at = one.ready_at = one.again_at = None
        one.restarts += 1 if one.failures else 0
        one.log_offset, one.check = 0, None
        if not serving.move(one, ReplicaState.STARTING):
            one.launch, one.begun = one.launch - 1, False
            self._later(one, "the disk of this node takes no more")
            return
        self._adopted.add(one.replica)
        self._hand_over(one, self._launch(one, prepared))

    def _launch(self, one: Replica, prepared: Prepared) -> Launch:
        preparation = self.serving.preparation
        devices = self.serving.rations.devices
        seen = devices.environment(one.gpus) if one.runtime == PROCESS else {}
        return Launch(
            spec=one.serving_spec(),
            number=one.launch,
            folder=preparation.folder(one.replica),
            model_dir=prepared.model_dir,
            log=preparation.log_file(one.replica, one.launch),
            host=one.host,
            port=one.port,
            gpus=one.gpus,
            environment={**seen, **prepared.environment},
        )

    def _hand_over(self, one: Replica, launch: Launch) -> None:
        serving = self.serving
        runtime, rations = serving.runtimes[one.runtime], serving.rations

        def start() -> Handle:
            serving.preparation.drop_old_logs(one.replica, launch.number)
            if rations.own:
                rations.devices.check(launch.gpus)
            return runtime.start(launch)

        def started(handle: Handle | None, error: Exception | None) -> None:
            if handle is not None:
                self._runs(one, handle)
                serving.advance(one)
                return
            serving.endings.gone(one)
            if isinstance(error, (DeviceBusy, DevicesSilent)):
                rations.found(error)
                one.waits = True
                self._later(one, f"it waits: {error}", RETRY_S)
            else:
                self._failed(one, error, "started")

        serving.work(one, serving.acting, start, started)

    def _runs(self, one: Replica, handle: Handle) -> None:
        """Note that a launch is there, and watch it."""
        self._adopted.add(one.replica)
        one.handle, one.started_at = handle.to_json(), one.started_at or time.time()
        self.serving.save(one)
        self.serving.watching.begin(one)
        if is_test(one) and one.ending is Ending.NONE:
            self.serving.contracts.begin(one)
        else:
            self.serving.health.begin(one)
        self.serving.news(0.0)

    def _free_port(self, one: Replica) -> int | None:
        """Return a port that nobody listens on, the one that it had if that may be."""
        host, (first, last) = self.serving.host, self.serving.config.serving.ports
        taken = {other.port for other in self.serving.replicas.values() if other.begun}
        usual = [one.port] if first <= one.port <= last else []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for port in [*usual, *range(first, last + 1)]:
            if port in taken:
                continue
            with socket.socket(family, socket.SOCK_STREAM) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind((host, port))
                except OSError:
                    continue
                return port
        return None

    # After a restart of the agent

    def adopt(self, one: Replica) -> None:
        """Find the launch again that an earlier agent has started, or meant to start."""
        serving = self.serving
        if serving.known is None or time.monotonic() < self._not_before.get(one.replica, 0.0):
            return
        runtime = serving.runtimes.get(one.runtime)
        if runtime is None:
            serving.endings.gone(one)
            serving.endings.give_up(
                one,
                f"this agent's settings do not name {one.runtime} any more: add it to [serving] "
                "runtimes, and restart it",
            )
            return

        def found(handle: Handle | None, error: Exception | None) -> None:
            if error is not None:
                log.warning("it is not known how it is: %s", error, extra={"replica": one.replica})
                self.postpone(one)
            elif handle is not None:
                log.info("found again: %s", handle.reference[:60], extra={"replica": one.replica})
                if is_test(one) and one.ending is Ending.NONE:
                    one.ending, one.ending_why = Ending.FAILED, "the agent was restarted meanwhile"
                self._runs(one, handle)
                serving.advance(one)
            elif one.handle is None and one.ending is Ending.NONE:  # it was never started
                serving.endings.gone(one)
                one.launch -= 1
                serving.move(one, ReplicaState.PREPARING)
                serving.advance(one)
            else:
                serving.endings.cleaned(
                    one, Status(False, detail="it was gone when the agent came back")
                )

        serving.work(one, serving.acting, partial(runtime.find, one.replica, one.launch), found)
