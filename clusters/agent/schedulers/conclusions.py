"""What is concluded of a batch job from its marks on disk, the queue's answers and the books.

Pure. Nothing follows from one answer that lacks a job: a job is over by its exit marker, by what
the scheduler says of its end, or when it has long been absent and nobody knows of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from signal import SIGKILL, SIGTERM
from typing import Any

from clusters.agent.protocol import timestamp
from clusters.agent.schedulers.base import INFRASTRUCTURE, Ending, Job, Standing, Status
from clusters.agent.schedulers.dialect import Accounting, JobState
from clusters.agent.schedulers.marks import LOST_THE_RACE
from clusters.agent.schedulers.options import Options

# While the books say that an absent job runs, it has to be absent so much longer to be gone.
BOOKS_DISAGREE = 10
PUT_BACK = 2  # answers in a row that say so
BY_SIGNAL = frozenset({128 + SIGKILL, 128 + SIGTERM})  # exit codes as shells write them


@dataclass
class Tracked:
    """One job that was submitted and is not known to be over.

    `name`          under which it was submitted
    `heard_at`      when an answer last named it, or, before that, when it was taken up; `heard_on`
                    the same in seconds since 1970, as are `started_at` and `exited_at`
    `missing_since`, `ending_since`  of the clock that does not jump, as `heard_at`: when it was
                    first absent, or seemed to be over
    """

    job: Job
    id: str
    name: str
    heard_at: float
    heard_on: float
    standing: Standing
    state: JobState | None = None
    books: Accounting | None = None
    misses: int = 0
    books_misses: int = 0  # answers of the books that did not know it
    returned: int = 0  # answers in a row by which it waits although it has begun
    missing_since: float | None = None
    ending_since: float | None = None
    started_at: float | None = None
    exit_code: int | None = None
    exited_at: float | None = None
    cpu_s: float | None = None
    has_begun: bool = False
    printed: str = ""  # by the scheduler, into the job's own output
    said: Ending = Ending.NORMAL  # there

    @property
    def over(self) -> bool:
        return self.standing.status in (Status.ENDED, Status.VANISHED)

    @property
    def seems_over(self) -> bool:
        said = self.state is not None and self.state.status is Status.ENDED
        return self.exit_code is not None or said or self.missing_since is not None


def hear(tracked: Tracked, state: JobState | None, now: float, moment: float) -> None:
    """Take in what an answer says of a job, None where it does not name it; `moment` is `now` in
    seconds since 1970.
    """
    if state is None or not tracked.name.startswith(state.name):  # its number is another's now
        tracked.misses += 1
        tracked.missing_since = tracked.missing_since or now
        return
    tracked.heard_at, tracked.heard_on = now, moment
    tracked.misses, tracked.missing_since = 0, None
    waits_again = state.status is Status.PENDING and tracked.has_begun
    tracked.returned = tracked.returned + 1 if waits_again else 0
    if state.status is not Status.UNKNOWN:
        tracked.state = state
    elif tracked.state is not None:
        tracked.state = replace(tracked.state, state=state.state)


def hear_books(tracked: Tracked, books: Accounting | None) -> None:
    """Take in what the books say of a job, None where they answered without it."""
    if books is None or not tracked.name.startswith(books.name):
        tracked.books_misses += 1
    else:
        tracked.books = books


def conclude(tracked: Tracked, options: Options, now: float, *, kind: str) -> Standing:
    """Return what stands of a job now."""
    facts = _facts(tracked)
    if tracked.exit_code != 0 and _put_back(tracked, facts):
        ended = _ended(tracked, facts, Ending.PREEMPTED, tracked.exit_code, kind)
        return replace(ended, why=f"the scheduler has put job {tracked.id} back into the queue")
    if tracked.exit_code is not None or facts is not None:
        if not _settled(tracked, options, now):
            return _living(tracked, Status.ALIVE, options, now)
        struck_out = _struck_out(tracked)
        if tracked.exit_code is not None and not (tracked.exit_code in BY_SIGNAL and struck_out):
            ending = facts.ending if facts and tracked.exit_code != 0 else Ending.NORMAL
            return _ended(tracked, facts, ending, tracked.exit_code, kind)
        if facts is not None and facts.ending is not Ending.NORMAL and not struck_out:
            return _ended(tracked, facts, facts.ending, facts.exit_code, kind)
        waited = now - (tracked.ending_since or now)
        marked = tracked.exit_code is not None
        if not marked and facts is not None and waited < options.patience_s:
            return _living(tracked, Status.ALIVE, options, now)  # its marker may be seen late
        ended = _ended(tracked, facts, Ending.NORMAL, None, kind)
        return replace(ended, status=Status.VANISHED, why=_without_result(tracked, ended))
    if _gone(tracked, options, now):
        why = (
            f"the scheduler knows job {tracked.id or '?'} no longer, and it left no exit marker"
            f" ({tracked.misses} answers without it)"
        )
        return Standing(Status.VANISHED, tracked.id, started_at=tracked.started_at, why=why)
    if tracked.has_begun:
        return _living(tracked, Status.ALIVE, options, now)
    if tracked.state is None:
        return _living(tracked, tracked.standing.status, options, now)
    if tracked.state.refused:
        ended = _ended(tracked, facts, Ending.REFUSED, None, kind)
        return replace(ended, why=tracked.state.refused)
    return _living(tracked, tracked.state.status, options, now)


def _facts(tracked: Tracked) -> Accounting | None:
    """What is known of the end: the books where they know it, else the queue's last word."""
    if tracked.books is not None and tracked.books.ended:
        return _as_said(tracked, tracked.books)
    state = tracked.state
    if state is None or state.status is not Status.ENDED:
        return None
    code = state.exit_code
    facts = Accounting(
        state=state.state,
        ended=True,
        ending=state.ending,
        exit_code=code,
        signal=code - 128 if code is not None and 128 < code < 193 else None,
        nodes=state.nodes,
        submitted_at=state.submitted_at,
        started_at=state.started_at,
        finished_at=state.finished_at,
        evidence=(f"the queue says {state.state} {state.reason}".strip(),),
    )
    return _as_said(tracked, facts)


def _as_said(tracked: Tracked, facts: Accounting) -> Accounting:
    """Let what stands in the output speak where the state says no more than that it failed."""
    if tracked.said is Ending.NORMAL or facts.ending not in (Ending.NORMAL, Ending.CANCELLED):
        return facts
    return replace(facts, ending=tracked.said)


def _put_back(tracked: Tracked, facts: Accounting | None) -> bool:
    """Whether the scheduler has ended it to start it anew, which its start marker forbids."""
    barred = tracked.has_begun and facts is not None and facts.exit_code == LOST_THE_RACE
    return tracked.returned >= PUT_BACK or (barred and tracked.exit_code != LOST_THE_RACE)


def _settled(tracked: Tracked, options: Options, now: float) -> bool:
    """Whether no more is to be asked: the books have spoken, or know nothing of it, or have had
    their time. What the queue lists as ended the books only have not heard of yet.
    """
    if tracked.books is not None and tracked.books.ended:
        return True
    if tracked.ending_since is None:
        return False
    missing = tracked.missing_since is not None
    asked = missing or (tracked.heard_at > tracked.ending_since and not _listed_as_ended(tracked))
    if asked and tracked.books is None and tracked.books_misses >= options.misses:
        return tracked.returned == 0
    return now - tracked.ending_since >= options.patience_s


def _listed_as_ended(tracked: Tracked) -> bool:
    return tracked.state is not None and tracked.state.status is Status.ENDED


def _struck_out(tracked: Tracked) -> bool:
    """Whether the scheduler itself has ended a job that never ran by its books, asked by nobody. So
    does Slurm with jobs of a controller that lost its state ("Duplicate jobid", "already running"),
    and with what a node could not launch; they are tried again.
    """
    books = tracked.books
    if books is None or not books.unasked or books.elapsed_s:
        return False
    return not tracked.has_begun or _began_before(tracked, books)


def _began_before(tracked: Tracked, books: Accounting) -> bool:
    """Whether it ran before its start in the books, which know whole seconds: that was another."""
    marked, booked = tracked.started_at, books.started_at
    return marked is not None and booked is not None and marked < booked - 1


def _gone(tracked: Tracked, options: Options, now: float) -> bool:
    if tracked.missing_since is None or tracked.misses < options.misses:
        return False
    long = options.missing_s * (BOOKS_DISAGREE if tracked.books is not None else 1)
    return now - tracked.missing_since >= long


def _living(tracked: Tracked, status: Status, options: Options, now: float) -> Standing:
    silent = tracked.missing_since is not None or now - tracked.heard_at > 3 * options.poll_s
    state = tracked.state
    waits = status is Status.PENDING
    return Standing(
        status,
        tracked.id,
        started_at=tracked.started_at or (state.started_at if state else None),
        pending=_pending(state) if waits and state is not None else None,
        unknown_since=tracked.heard_on if silent and tracked.exit_code is None else None,
    )


def _pending(state: JobState) -> Mapping[str, Any]:
    start = state.expected_start
    return {
        "reason": state.reason,
        "text": state.text,
        "expected_start": timestamp(start) if start is not None else None,
        "partition": state.partition,
    }


def _ended(
    tracked: Tracked, facts: Accounting | None, ending: Ending, code: int | None, kind: str
) -> Standing:
    facts = facts or Accounting(state="", ended=False)
    started_at = tracked.started_at or facts.started_at
    finished_at = tracked.exited_at or facts.finished_at
    books = {
        "kind": kind,
        "id": tracked.id,
        "state": facts.state,
        "exit_code": facts.exit_code,
        "signal": facts.signal,
        "nodes": facts.nodes,
        "elapsed_s": facts.elapsed_s,
        "cpu_s": facts.cpu_s,
        "max_rss_mib": facts.max_rss_mib,
        "submitted_at": _moment(facts.submitted_at),
        "started_at": _moment(facts.started_at),
        "finished_at": _moment(facts.finished_at),
        "evidence": [*facts.evidence, *tracked.printed.strip().splitlines()[-5:]],
    }
    return Standing(
        Status.ENDED,
        tracked.id,
        code,
        started_at,
        finished_at,
        cpu_s=facts.cpu_s if facts.cpu_s is not None else tracked.cpu_s,
        max_rss_mib=facts.max_rss_mib,
        ending=ending,
        accounting=books,
        why=_why(ending, facts, tracked),
    )


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)


def _why(ending: Ending, facts: Accounting, tracked: Tracked) -> str:
    """A sentence where the hardware or the site has ended it."""
    if ending not in INFRASTRUCTURE:
        return ""
    what = "a node failed" if ending is Ending.NODE_FAIL else "it had to make room for another job"
    where = f" on {facts.nodes}" if facts.nodes else ""
    return f"{what}{where}: the scheduler says {facts.state} of job {tracked.id}"


def _without_result(tracked: Tracked, ended: Standing) -> str:
    books = ended.accounting
    code = "" if books["exit_code"] is None else f", exit code {books['exit_code']}"
    said = f"the scheduler says {books['state'] or 'nothing'}{code} of job {tracked.id}"
    said = "; ".join([said, *tracked.printed.strip().splitlines()[-2:]])
    if not tracked.has_begun:
        return f"the job never began its work: {said}"
    if tracked.exit_code is not None:
        return f"the program was ended by signal {tracked.exit_code - 128} from outside: {said}"
    return f"the program vanished without an exit marker: {said}"
