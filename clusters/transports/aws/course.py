"""One step of an execution: start what is to be started, look at what runs, collect what has ended.

Any worker may do it, again after a kill: each step begins from the row and from what AWS says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calculations.software.torch_inference.program.problem import Problem
from clusters.agent.protocol import AgentState
from clusters.models import AwsExecution
from clusters.transports.aws import books
from clusters.transports.aws.clients import Clients
from clusters.transports.aws.collecting import Collecting, ranks_done, report_of_problem
from clusters.transports.aws.starting import Starting
from labportal.common.clock import now

GOES_ON = frozenset({"RUNNING", "PENDING_REDRIVE"})
CANCELLED = "cancelled by the portal"


class Course:
    """Raises Trouble where AWS does not let it; then the step is done again later."""

    def __init__(self, execution: AwsExecution) -> None:
        self.execution = execution
        self.access = execution.cluster.aws
        self.clients = Clients(self.access)
        self.starting = Starting(execution, self.clients)

    def step(self) -> None:
        execution = self.execution
        if execution.abandoned:
            self._abandon()
        elif books.is_settled(execution):
            return
        elif execution.state == AgentState.PREPARING:
            self._prepare()
        else:
            self._watch()

    def _prepare(self) -> None:
        execution = self.execution
        if execution.cancel_why and not execution.functions:
            self._cancelled()
            return
        try:
            planned = self.starting.plan()
            used = books.make_room(execution, len(planned.busy))
            if used:
                self._wait(f"{used} functions are in use, {len(planned.busy)} are asked for")
                return
            arn = self.starting.start(planned)
        except Problem as problem:
            self._refused(problem)
            return
        columns = {"execution_arn": arn, "plan_sha256": planned.sha256, "started_at": now()}
        books.move(execution, AgentState.RUNNING, **columns)
        words = f"{len(planned.busy)} functions were asked for: {execution}"
        books.say(self.access, words, run=execution.run)
        if not arn:
            self._watch()

    def _wait(self, why: str) -> None:
        if self.execution.waits_for != why:
            self.execution.waits_for = why
            self.execution.save(update_fields=["waits_for"])

    def _watch(self) -> None:
        execution, told = self.execution, None
        if execution.execution_arn:
            told = self.clients.described(execution.execution_arn)
            if told is None:
                self._lost("AWS knows of no such execution any more")
                return
            if told["status"] in GOES_ON:
                self._going_on(told)
                return
            if told["status"] == "ABORTED" and not execution.timed_out:
                self._aborted(told)
                return
        self._collect(told)

    def _going_on(self, told: Mapping[str, Any]) -> None:
        """Look how far it is; end it where that is asked for or its time is over."""
        execution = self.execution
        if execution.cancel_why:
            self.clients.stop(execution.execution_arn, CANCELLED)
            AwsExecution.objects.filter(pk=execution.pk).update(looked_at=None)
            return
        walltime = self.starting.spec.resources.walltime_s
        began = execution.started_at or execution.since
        if (now() - began).total_seconds() > walltime:
            execution.timed_out = True
            execution.save(update_fields=["timed_out"])
            self.clients.stop(execution.execution_arn, "its walltime was over")
            AwsExecution.objects.filter(pk=execution.pk).update(looked_at=None)
            return
        done = len(ranks_done(self.clients, self.starting.root))
        progress = {"done": done, "of": execution.functions, "what": "ranks"}
        if progress != execution.progress:
            execution.progress = progress
            execution.save(update_fields=["progress"])
            if done:
                words = f"{done} of {execution.functions} ranks have left their results"
                books.say(self.access, words, run=execution.run)

    def _aborted(self, told: Mapping[str, Any]) -> None:
        if self.execution.cancel_why:
            self._cancelled()
        else:
            self._lost(f"somebody stopped it in AWS: {told.get('cause') or 'no reason given'}")

    def _collect(self, told: Mapping[str, Any] | None) -> None:
        execution = self.execution
        if execution.state != AgentState.VALIDATING:
            books.move(execution, AgentState.VALIDATING)
        planned = self.starting.plan()
        report = Collecting(execution, self.clients, planned, told).report()
        self._finish(report)

    # Ends

    def _refused(self, problem: Problem) -> None:
        books.say(self.access, problem.message, run=self.execution.run, level="ERROR")
        self._finish(report_of_problem(self.execution, problem))

    def _finish(self, report: dict[str, Any]) -> None:
        columns = {"report": report, "finished_at": now(), "functions": 0}
        books.move(self.execution, AgentState.FINISHED, **columns)
        words = str(report["outcome"]["message"])
        books.say(self.access, words, run=self.execution.run)

    def _cancelled(self) -> None:
        why = self.execution.cancel_why
        columns = {"why": why, "finished_at": now(), "functions": 0}
        books.move(self.execution, AgentState.CANCELLED, **columns)

    def _lost(self, why: str) -> None:
        columns = {"why": why[:300], "finished_at": now(), "functions": 0}
        books.move(self.execution, AgentState.LOST, **columns)

    def _abandon(self) -> None:
        execution = self.execution
        if execution.functions:  # it may have been started, even where nobody wrote that down
            arn = self.clients.arn_of(str(execution))
            self.clients.stop(arn, "another attempt has taken its place")
        execution.delete()
