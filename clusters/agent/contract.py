"""The contract test: does a model server keep the rules that every host of SageMaker containers
relies on? Ten named checks, made against a server that listens; who started it says how it ends.

Called by `serving` for a version under test, and by the command `contract`. Standard library only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusters.agent.contract_calls import Caller, NoAnswer, Reply
from clusters.agent.runtimes.base import ServingSpec

MIB = 1024 * 1024
ENDING_S = 2.0
POLL_S = 0.1
EARLY_S = 30.0  # how long a model that says it is ready may answer 503
LATE_S = 10.0  # how long an answer to a probe is waited for that comes too late
UNSUPPORTED = "application/x-labportal-unsupported"
UNKNOWN_HEADERS = {
    "X-Labportal-Unknown": "1",
    "X-Amzn-SageMaker-Inference-Id": "contract",
    "X-Amzn-SageMaker-Custom-Attributes": "contract=1",
    "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
#: Bodies that are of their type and hardly more, for types that no example is known of.
SMALLEST = {"application/json": b"{}", "text/csv": b"0\n", "text/plain": b"0\n"}

#: Name of a check -> what it shows, in the order in which they are made.
TITLES = {
    "serve": "Starts with the argument serve and keeps running",
    "loading": "Answers 503 or 404, not 200, while it is still loading",
    "ping": "Answers GET /ping by 200 within 2 s",
    "ping_empty": "Answers GET /ping without a body",
    "invocations": "Answers the example at POST /invocations within 60 s",
    "types": "Takes the content types that it is registered with",
    "headers": "Passes over headers that it does not know",
    "unsupported": "Refuses an unsupported content type by 415",
    "oversized": "Refuses a body that is too long and goes on",
    "sigterm": "Ends within 30 s of SIGTERM",
}
#: Checks that only who starts and ends the server can make.
OF_THE_OWNER = ("serve", "loading", "sigterm")


@dataclass(frozen=True)
class Subject:
    """The server under test. `ended` tells how it ended, None while it runs; `terminate` sends it
    SIGTERM. Without them it was started elsewhere, and the checks `OF_THE_OWNER` are not made.
    """

    host: str
    port: int
    ended: Callable[[], str | None] | None = None
    terminate: Callable[[], None] | None = None


@dataclass(frozen=True)
class Terms:
    """What it is measured against. `example`: (content type, body)."""

    startup_s: float = 480.0
    ping_timeout_s: float = 2.0
    answer_s: float = 60.0
    stop_s: float = 30.0
    max_body: int = 6 * MIB
    accepts: Sequence[str] = ()
    example: tuple[str, bytes] | None = None

    @classmethod
    def of(cls, spec: ServingSpec) -> Terms:
        example = spec.check and (spec.check["content_type"], spec.check["body"].encode())
        return cls(
            startup_s=spec.startup_s,
            ping_timeout_s=spec.ping_timeout_s,
            stop_s=spec.stop_s,
            max_body=spec.max_body,
            accepts=spec.accepts,
            example=example or None,
        )


def run_contract(
    subject: Subject, terms: Terms, *, told: Callable[[dict[str, Any]], None] | None = None
) -> list[dict[str, Any]]:
    """Make all checks in order: {"name", "title", "ok", "detail"}; `ok` None: it was not made.

    Ends the server where it may. `told` hears of each check as it is made. Takes as long as the
    server needs to start and to stop, and the answers of six calls.
    """
    checks = []
    for check in _Contract(subject, terms).checks():
        checks.append(check)
        if told is not None:
            told(check)
    return checks


def passed(checks: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a list of checks is a passed contract: nothing failed, and the example was
    answered; checks that could not be made do not count.
    """
    return all(check["ok"] is not False for check in checks) and any(
        check["name"] == "invocations" and check["ok"] for check in checks
    )


class _Failed(Exception):
    """A check that did not hold."""


class _NotMade(Exception):
    """A check that could not be made."""


class _Contract:
    def __init__(self, subject: Subject, terms: Terms) -> None:
        self.subject = subject
        self.terms = terms
        self.caller = Caller(subject.host, subject.port)
        self.ready = False
        self.while_loading: set[int] = set()
        self.early = 0.0  # seconds by which /ping said 200 before /invocations did
        self.last = "nobody listens"
        self.began = time.monotonic()

    def checks(self) -> Iterator[dict[str, Any]]:
        for name in TITLES:
            make = getattr(self, f"_{name}")
            try:
                ok, detail = True, make()
            except (_Failed, NoAnswer) as failure:
                ok, detail = False, str(failure)
            except _NotMade as reason:
                ok, detail = None, str(reason)
            yield {"name": name, "title": TITLES[name], "ok": ok, "detail": detail}

    # One method per check: it returns the detail, or raises _Failed or _NotMade.

    def _serve(self) -> str:
        self._wait_until_ready()
        if self.subject.ended is None:
            raise _NotMade("it was started elsewhere")
        ended = self.subject.ended()
        if ended is not None:
            raise _Failed(
                f"it ended ({ended}) {self._seconds():.1f} s after the start: the image has to "
                "accept the argument serve and stay in the foreground"
            )
        return f"runs since {self._seconds():.1f} s"

    def _loading(self) -> str:
        if self.subject.ended is None:
            raise _NotMade("it was started elsewhere")
        self._only_ready()
        wrong = sorted(self.while_loading - {404, 503})
        if wrong:
            raise _Failed(f"/ping answered {wrong[0]} while it was loading; answer 503")
        if self.early:
            raise _Failed(
                f"/ping said 200 {self.early:.1f} s before /invocations did; answer 503 until the "
                "model is loaded"
            )
        seen = ", ".join(str(status) for status in sorted(self.while_loading))
        return f"answered {seen} until then" if seen else "it did not listen until then"

    def _ping(self) -> str:
        self._only_running()
        if not self.ready:
            window = f"the start-up window of {self.terms.startup_s:g} s"
            raise _Failed(f"no 200 within {window}; last: {self.last}")
        slowest = max(self._probe().seconds for _ in range(3))
        if slowest > self.terms.ping_timeout_s:
            raise _Failed(f"it took {slowest:.1f} s: answer /ping beside the model, not behind it")
        return f"{slowest * 1000:.0f} ms"

    def _ping_empty(self) -> str:
        self._only_ready()
        body = self._probe().body
        if body.strip():
            raise _Failed(f"the body is {body[:60]!r}; it has to be empty")
        return "empty"

    def _invocations(self) -> str:
        self._only_ready()
        reply = self._invoke(*self._example())
        if not reply.good:
            raise _Failed(f"{reply.status}: {_start(reply.body)}")
        return f"{reply.status}, {len(reply.body)} bytes after {reply.seconds * 1000:.0f} ms"

    def _types(self) -> str:
        self._only_ready()
        if not self.terms.accepts:
            raise _NotMade("no content types are registered")
        known = dict([self.terms.example] if self.terms.example else [])
        said = []
        for content_type in self.terms.accepts:
            body = known.get(content_type, SMALLEST.get(content_type, b""))
            reply = self._invoke(content_type, body)
            if reply.status == 415:
                raise _Failed(f"{content_type} is registered, and refused by 415")
            said.append(f"{content_type} {reply.status if content_type in known else 'taken'}")
        return ", ".join(said)

    def _headers(self) -> str:
        self._only_ready()
        content_type, body = self._example()
        if not self._invoke(content_type, body).good:
            raise _NotMade("the example is not answered without them either")
        reply = self._invoke(content_type, body, UNKNOWN_HEADERS)
        if not reply.good:
            raise _Failed(f"{reply.status} with headers that hosts add: {_start(reply.body)}")
        return f"{reply.status} with {len(UNKNOWN_HEADERS)} more headers"

    def _unsupported(self) -> str:
        self._only_ready()
        reply = self._invoke(UNSUPPORTED, b"\x00\x01\x02")
        if reply.status != 415:
            raise _Failed(f"{UNSUPPORTED} was answered by {reply.status} in place of 415")
        return "415"

    def _oversized(self) -> str:
        self._only_ready()
        content_type = self.terms.example[0] if self.terms.example else "application/json"
        length = self.terms.max_body + MIB
        answer = self.caller.invoke_long(length, content_type, self.terms.answer_s)
        if answer is not None and not 400 <= answer.status < 500:
            raise _Failed(
                f"{length} bytes were answered by {answer.status} in place of 413; the limit is "
                f"{self.terms.max_body} bytes (SAGEMAKER_MAX_PAYLOAD_IN_MB)"
            )
        self._goes_on()
        return f"{answer.status}" if answer is not None else "the connection was closed"

    def _sigterm(self) -> str:
        if self.subject.terminate is None or self.subject.ended is None:
            raise _NotMade("it was started elsewhere")
        self._only_running()
        began = time.monotonic()
        self.subject.terminate()
        while self.subject.ended() is None:
            if time.monotonic() - began > self.terms.stop_s:
                raise _Failed(
                    f"it still runs {self.terms.stop_s:g} s after SIGTERM; use the exec form of "
                    "ENTRYPOINT, so that the signal arrives"
                )
            time.sleep(POLL_S)
        return f"ended after {time.monotonic() - began:.1f} s"

    # What the checks share.

    def _wait_until_ready(self) -> None:
        """Probe until /ping says 200, the server ends, or the start-up window closes."""
        while not self.ready:
            if self._is_over() or self._seconds() > self.terms.startup_s:
                return
            try:
                reply = self._probe()
            except NoAnswer as nothing:
                self.last = str(nothing)
            else:
                self.last = f"{reply.status}"
                self.ready = reply.status == 200
                if not self.ready:
                    self.while_loading.add(reply.status)
            if not self.ready:
                time.sleep(POLL_S)
        self._wait_until_loaded()

    def _wait_until_loaded(self) -> None:
        """Hold 200 against the example: what says that it is ready answers calls."""
        if self.terms.example is None:
            return
        began = time.monotonic()
        while not self._is_over() and time.monotonic() - began < EARLY_S:
            try:
                status = self._invoke(*self.terms.example).status
            except NoAnswer:
                return
            if status != 503:
                return
            time.sleep(POLL_S)
            self.early = time.monotonic() - began
        self.early = 0.0  # not early, but dead: the check of the example says so

    def _probe(self) -> Reply:
        return self.caller.ping(max(LATE_S, self.terms.ping_timeout_s))

    def _invoke(
        self, content_type: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Reply:
        told = {"Content-Type": content_type, **(headers or {})}
        return self.caller.invoke(body, told, self.terms.answer_s)

    def _goes_on(self) -> None:
        if self._is_over():
            raise _Failed("it ended when a body was too long")
        try:
            status = str(self._probe().status)
        except NoAnswer as nothing:
            if self._is_ending():
                raise _Failed("it ended when a body was too long") from None
            status = str(nothing)
        if status != "200":
            raise _Failed(f"/ping after a body that was too long: {status}")

    def _example(self) -> tuple[str, bytes]:
        if self.terms.example is None:
            raise _NotMade("the version has no example; register one")
        return self.terms.example

    def _only_running(self) -> None:
        if self._is_over():
            raise _NotMade("it does not run")

    def _only_ready(self) -> None:
        self._only_running()
        if not self.ready:
            raise _NotMade("it never became ready")

    def _is_over(self) -> bool:
        return self.subject.ended is not None and self.subject.ended() is not None

    def _is_ending(self) -> bool:
        """Whether a server that gives no answer ends, which shows a moment later."""
        limit = time.monotonic() + ENDING_S
        while self.subject.ended is not None and time.monotonic() < limit:
            if self._is_over():
                return True
            time.sleep(POLL_S)
        return False

    def _seconds(self) -> float:
        return time.monotonic() - self.began


def _start(body: bytes) -> str:
    return body[:200].decode(errors="replace")
