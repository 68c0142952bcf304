"""Brings jobs into a batch scheduler's queue, once each, and finds those again of which nobody
knows.

The intent is on disk before the scheduler is asked. While it is there and no id, the job is looked
up by name before anything is submitted; a lock that the submitting command itself holds tells
whether one of an agent that was killed is still under way.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clusters.agent.commands import Answer
from clusters.agent.schedulers import marks
from clusters.agent.schedulers.base import Job, Key, SubmissionRefused, TryLater, Unanswered
from clusters.agent.schedulers.dialect import Dialect, Submission, Unclear, own_script
from clusters.agent.schedulers.options import Options
from clusters.agent.schedulers.scripts import (
    INTENT,
    SUBMITTED,
    Note,
    drop_intent,
    job_script,
    note,
    read_end,
    read_note,
    read_tries,
    write_text,
    write_tries,
)

log = logging.getLogger(__name__)

Started = dict[Key, "str | Exception"]
Call = Callable[..., Answer]
MOST_AT_ONCE = 200  # names in one question


class Submitter:
    """`spool` holds the scripts and what the scheduler itself prints of jobs; `call` runs a
    command; `limits` returns what is known of the site's; `clock` counts seconds.
    """

    def __init__(
        self,
        dialect: Dialect,
        spool: Path,
        call: Call,
        limits: Callable[[], Mapping[str, Any]],
        clock: Callable[[], float],
    ) -> None:
        self.dialect = dialect
        self.spool = spool
        self.call = call
        self.limits = limits
        self.clock = clock
        self._absent_since: dict[str, float] = {}

    @property
    def options(self) -> Options:
        return self.dialect.options

    def start(self, jobs: Sequence[Job]) -> Started:
        """Submit jobs; return the id of each, or why it has none."""
        answers: Started = {}
        fresh: list[Job] = []
        unsure: list[Job] = []
        for job in jobs:
            known = read_note(job.control, SUBMITTED)
            if known is not None and known.id:
                answers[job.key] = known.id
            elif (job.control / INTENT).exists():
                unsure.append(job)
            else:
                fresh.append(job)
        if unsure:
            found = self._look_up(unsure)
            answers.update(found)
            fresh += [job for job in unsure if job.key not in found]
        for batch in self._batches(fresh):
            answers.update(self._submit(batch))
        return answers

    def find(self, job: Job) -> str:
        """Return the id of a job that may have been submitted, "" where it certainly was not.
        Raises TryLater.
        """
        known = read_note(job.control, SUBMITTED)
        if known is not None and known.id:
            return known.id
        if not (job.control / INTENT).exists():
            return ""
        found = self._look_up([job]).get(job.key, "")
        if isinstance(found, Unanswered):
            return ""
        if isinstance(found, Exception):
            raise found
        return found

    # Looking up

    def _look_up(self, jobs: Sequence[Job]) -> Started:
        """Return ids of what was submitted before, TryLater where that is not certain yet, and
        Unanswered where it has been tried often enough; a job that is missing from the answer was
        never submitted.
        """
        answers: Started = {}
        intents = {job.key: read_note(job.control, INTENT) or Note(job.name) for job in jobs}
        under_way = {n for n in {i.name for i in intents.values()} if self._under_way(n)}
        for start in range(0, len(jobs), MOST_AT_ONCE):
            some = jobs[start : start + MOST_AT_ONCE]
            names = sorted({intents[job.key].name for job in some} - under_way)
            found = self._ask(names) if names else {}
            for job in some:
                intent = intents[job.key]
                answer = self._conclude(job, intent, found, intent.name in under_way)
                if answer is not None:
                    answers[job.key] = answer
        return answers

    def _ask(self, names: Sequence[str]) -> dict[str, list[str]] | None:
        """Ask the queue, then the books where the queue lacks any; None: no answer."""
        shown = self.dialect.shown_name
        answer = self.call(self.dialect.lookup_arguments(names))
        queue = self.dialect.parse_lookup(answer)
        if queue is None:
            return None
        found = {name: list(ids) for name in names if (ids := queue.get(shown(name)))}
        missing = [name for name in names if name not in found]
        arguments = self.dialect.history_arguments(missing) if missing else None
        if arguments:
            books = self.dialect.parse_history(self.call(arguments)) or {}
            found |= {name: list(ids) for name in missing if (ids := books.get(shown(name)))}
        return found

    def _conclude(
        self, job: Job, intent: Note, found: dict[str, list[str]] | None, under_way: bool
    ) -> str | Exception | None:
        if under_way:
            return TryLater("an earlier submission of it is still under way")
        if found is None:
            return TryLater("the scheduler does not say whether it was submitted before")
        if found.get(intent.name):
            self._absent_since.pop(intent.name, None)
            return self._adopt(job, intent, found[intent.name])
        if marks.has_begun(job.control):
            return ""  # it was submitted, has begun, and is forgotten: its marks say the rest
        since = self._absent_since.setdefault(intent.name, self.clock())
        tries, options = read_tries(job.control), self.options
        pause = options.submit_pause_s * 2 ** (tries - 1) if tries else 0.0
        if self.clock() - since < max(options.poll_s, pause):
            return TryLater("it is looked up again, since it may have been submitted before")
        if tries >= options.submit_tries:
            return self._give_up(job, tries)
        drop_intent(job.control)
        return None

    def _give_up(self, job: Job, tries: int) -> str | Unanswered:
        """Should it appear in the queue after all, it runs nothing."""
        with contextlib.suppress(OSError):
            if not marks.fence(job.control):
                return ""  # it has just begun
        times = "its submission" if tries == 1 else f"{tries} submissions of it"
        return Unanswered(
            f"the scheduler gave no answer to {times} and has no such job; look at it on the site"
        )

    def _adopt(self, job: Job, intent: Note, ids: Sequence[str]) -> str:
        """Take the first; what a second submission brought is ended."""
        if len(ids) > 1:
            log.warning(
                "submitted %d times: %s", len(ids), ", ".join(ids), extra={"run": job.key[0]}
            )
            self.call(self.dialect.cancel_arguments(ids[1:]))
        whole = ids[0]
        found = whole if intent.index is None else self.dialect.task_id(whole, intent.index)
        note(job.control, SUBMITTED, Note(intent.name, intent.index, found))
        log.info("found in the queue: %s", found, extra={"run": job.key[0]})
        return found

    # Submitting

    def _batches(self, jobs: Sequence[Job]) -> Iterator[list[Job]]:
        """Jobs of one calculation that ask for the same go together."""
        alike: dict[Any, list[Job]] = {}
        for job in jobs:
            alone = not job.group or self.options.array_max < 2
            kind = job.key if alone else (job.group, job.resources)
            alike.setdefault(kind, []).append(job)
        for batch in alike.values():
            for start in range(0, len(batch), self.options.array_max):
                yield batch[start : start + self.options.array_max]

    def _submit(self, jobs: Sequence[Job]) -> Started:
        refused = self.dialect.refusal(jobs[0], self.limits())
        if refused:
            return dict.fromkeys((job.key for job in jobs), SubmissionRefused(refused))
        ready, answers = self._written(jobs)
        if not ready:
            return answers
        submission = self._submission(ready)
        try:
            write_text(submission.script, self.dialect.script(submission))
            for index, job in enumerate(ready):
                number = index if submission.is_array else None
                note(job.control, INTENT, Note(submission.name, number))
            whole = self._hand_over(submission)
        except Unclear as error:
            self._absent_since.pop(submission.name, None)
            for job in ready:
                with contextlib.suppress(OSError):
                    write_tries(job.control, read_tries(job.control) + 1)
            later = TryLater(f"nobody knows whether it was submitted: {error}")
            return {**answers, **dict.fromkeys((job.key for job in ready), later)}
        except Exception as error:
            for job in ready:
                drop_intent(job.control)
            self._unlink(submission.name)
            return {**answers, **dict.fromkeys((job.key for job in ready), error)}
        self._unlink(submission.name)  # the scheduler has a copy of the script
        for index, job in enumerate(ready):
            number = index if submission.is_array else None
            one = self.dialect.task_id(whole, index) if submission.is_array else whole
            with contextlib.suppress(OSError):  # a full disk: it is found again by its name
                note(job.control, SUBMITTED, Note(submission.name, number, one))
            answers[job.key] = one
        what = f"an array of {len(ready)}" if submission.is_array else submission.name
        log.info("submitted %s as %s", what, whole, extra={"run": ready[0].key[0]})
        return answers

    def _written(self, jobs: Sequence[Job]) -> tuple[list[Job], Started]:
        """Write what each job does; return those that are ready, and why others are not."""
        ready: list[Job] = []
        answers: Started = {}
        for job in jobs:
            try:
                text = job_script(job, setup=self.options.setup, prelude=self.dialect.prelude)
                write_text(own_script(job), text)
                ready.append(job)
            except Exception as error:
                answers[job.key] = error
        return ready, answers

    def _submission(self, jobs: Sequence[Job]) -> Submission:
        first = jobs[0]
        name, comment = first.name, f"Labportal {first.group} run {first.key[0]}"
        if len(jobs) > 1:
            keys = "\n".join(f"{run} {attempt}" for run, attempt in (job.key for job in jobs))
            digest = hashlib.sha256(keys.encode()).hexdigest()[:24]
            name, comment = f"lab-array-{digest}", f"Labportal {first.group}: {len(jobs)} runs"
        self.spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Submission(
            name, comment, tuple(jobs), self.spool / f"{name}.sh", self.spool / f"{name}.out"
        )

    def _hand_over(self, submission: Submission) -> str:
        """Have it submitted by a command that holds the submission's lock as long as it lives."""
        arguments = self.dialect.submit_arguments(submission)
        lock = os.open(self._lock(submission.name), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            answer = self.call(arguments, keep_open=(lock,))
        except BlockingIOError:
            raise Unclear("an earlier submission of it is still under way") from None
        finally:
            os.close(lock)
        return self.dialect.parse_submit(answer)

    def _lock(self, name: str) -> Path:
        return self.spool / f"{name}.lock"

    def _under_way(self, name: str) -> bool:
        """Whether a command that an earlier agent started still tries to submit this."""
        try:
            lock = os.open(self._lock(name), os.O_RDWR | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(lock)
        return False

    def printed(self, job: Job) -> str:
        """Return what the scheduler itself has written into a job's output, its end at least."""
        with contextlib.suppress(OSError):
            return read_end(self._output(job))
        return ""

    def clean(self, job: Job) -> None:
        """Forget a job that is over."""
        with contextlib.suppress(OSError):
            self._output(job).unlink()

    def _output(self, job: Job) -> Path:
        known = read_note(job.control, SUBMITTED) or read_note(job.control, INTENT)
        name = known.name if known is not None else job.name
        array = known is not None and known.index is not None
        return self.spool / (f"{name}.out.{known.index}" if array else f"{name}.out")

    def _unlink(self, name: str) -> None:
        for kind in ("sh", "lock"):
            with contextlib.suppress(OSError):
                (self.spool / f"{name}.{kind}").unlink()
