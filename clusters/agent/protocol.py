"""The vocabulary of the exchange: verbs, states, limits, paths, and documents as bytes and back.

Portal and agent both import this file, and neither writes these words by hand.
Standard library only, Python 3.9.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from enum import Enum
from typing import Any

PROTOCOL = 1

# Where an agent finds the portal. `quote` run and file names before they are put in.
EXCHANGE_PATH = "/api/v1/agent/exchange"
STAGED_FILE_PATH = "/api/v1/agent/runs/{run}/files/{name}"
RETRIEVED_FILE_PATH = "/api/v1/agent/runs/{run}/{attempt}/files/{name}"
MODEL_FILE_PATH = "/api/v1/agent/replicas/{replica}/files/{name}"
MODEL_ENVIRONMENT_PATH = "/api/v1/agent/replicas/{replica}/environment"
DOWNLOAD_PATH = "/agent/labportal-agent.pyz"
AUTHORIZATION_SCHEME = "Api-Key"
SHA256_HEADER = "X-Content-SHA256"

# Limits in bytes, of one document before and after compression, and of one retrieved file.
MAX_BODY = 4 * 1024 * 1024
MAX_DOCUMENT = 16 * 1024 * 1024
GZIP_ABOVE = 1024
MAX_RETRIEVED_FILE = 64 * 1024 * 1024
MAX_LOG_LINE = 4000  # characters; a longer line is cut

# Times in seconds.
MAX_WAIT_S = 25
DEFAULT_SETTINGS: Mapping[str, int] = {
    "exchange_s": 30,
    "metrics_s": 10,
    "log_bytes_per_minute": 1_000_000,
}


class Verb(str, Enum):
    """What the portal wants done with a run."""

    KEEP = "keep"  # go on
    EXECUTE = "execute"  # start the attempt that `spec` describes
    CANCEL = "cancel"  # stop it and report "cancelled"
    CLOSE = "close"  # the terminal report is stored: list the run no more
    ABANDON = "abandon"  # an old attempt: stop it, report nothing, list it no more
    PURGE = "purge"  # delete the run's folders but for the patterns in `keep`


class AgentState(str, Enum):
    """What the agent says of a run."""

    PREPARING = "preparing"  # not started yet: waits for a slot, or its folder is made ready
    RUNNING = "running"
    VALIDATING = "validating"  # the program ended; its output is read
    FINISHED = "finished"  # terminal, with outcome and results
    CANCELLED = "cancelled"  # terminal, with why
    LOST = "lost"  # terminal for this attempt, with why: the hardware's fault, never the program's


TERMINAL = frozenset({AgentState.FINISHED, AgentState.CANCELLED, AgentState.LOST})


class ServingVerb(str, Enum):
    """What the portal wants done with a replica of a model."""

    SERVE = "serve"  # keep it running as `spec` says; a higher generation starts it anew
    KEEP = "keep"  # go on: the agent has this generation already
    STOP = "stop"  # end it (SIGTERM, grace, SIGKILL), keep what was prepared
    REMOVE = "remove"  # end it, delete container and folder, list it no more


class ReplicaState(str, Enum):
    """What the agent says of a replica."""

    PREPARING = "preparing"  # image, files and environment are made ready
    STARTING = "starting"  # it runs, and has not answered /ping by 200 yet
    READY = "ready"
    UNHEALTHY = "unhealthy"  # it was ready, and fails its probes
    BACKING_OFF = "backing_off"  # it ended or was ended, and starts again at `again_at`
    GIVEN_UP = "given_up"  # it failed too often in a row; a higher generation tries again
    STOPPING = "stopping"
    STOPPED = "stopped"


class EventKind(str, Enum):
    LOG = "log"
    METRICS = "metrics"


class LogService(str, Enum):
    AGENT = "agent"
    PROGRAM = "program"
    MODEL = "model"


class BadDocument(ValueError):
    """Bytes that are no exchange document; the message says why."""


def timestamp(seconds: float) -> str:
    """Return a Unix time as ISO 8601 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def request(
    *,
    agent: Mapping[str, Any],
    took_in: int,
    wait_s: float,
    capacity: Mapping[str, Any],
    runs: Sequence[Mapping[str, Any]] = (),
    purged: Sequence[Mapping[str, Any]] = (),
    serving: Sequence[Mapping[str, Any]] = (),
    events: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    return {
        "protocol": PROTOCOL,
        "agent": dict(agent),
        "took_in": took_in,
        "wait_s": wait_s,
        "capacity": dict(capacity),
        "runs": list(runs),
        "purged": list(purged),
        "serving": list(serving),
        "events": list(events),
    }


def reply(
    *,
    desired: int,
    acknowledged: int,
    runs: Sequence[Mapping[str, Any]] = (),
    serving: Sequence[Mapping[str, Any]] = (),
    settings: Mapping[str, int] = DEFAULT_SETTINGS,
    update: Mapping[str, str] | None = None,
    reset: bool = False,
) -> dict[str, Any]:
    """`update`: the agent's version to change to, as {"version", "url", "sha256"}; `reset`: let its
    own circuit breaker try again.
    """
    return {
        "protocol": PROTOCOL,
        "desired": desired,
        "acknowledged": acknowledged,
        "runs": list(runs),
        "serving": list(serving),
        "settings": dict(settings),
        "agent": {"update": dict(update) if update else None, "reset": reset},
    }


def instruction(run: str, attempt: int, verb: Verb, **details: Any) -> dict[str, Any]:
    """One entry of a reply's `runs`; details are `lease_s` and `spec`, `why`, or `keep`."""
    return {"run": run, "attempt": attempt, "verb": verb.value, **details}


def serving_instruction(replica: str, verb: ServingVerb, **details: Any) -> dict[str, Any]:
    """One entry of a reply's `serving`; details are `generation`, `spec`, `traffic`, `why`.

    `traffic`: {"in_flight", "answered_s"} of the portal's own calls, seconds since the last good
    answer (None: none yet); a replica that answers calls is not restarted for slow probes.
    """
    return {"replica": replica, "verb": verb.value, **details}


def encode(document: Mapping[str, Any], *, compress: bool = True) -> tuple[bytes, str | None]:
    """Return (body, content encoding): "gzip", or None where the body is short."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    body = text.encode(errors="replace")
    if compress and len(body) > GZIP_ABOVE:
        return gzip.compress(body, compresslevel=5, mtime=0), "gzip"
    return body, None


def decode(body: bytes, content_encoding: str | None = None) -> dict[str, Any]:
    """Return the document. Raises BadDocument, also for what unpacks to above MAX_DOCUMENT."""
    if content_encoding == "gzip":
        body = _gunzip(body)
    elif content_encoding not in (None, "", "identity"):
        raise BadDocument(f"content encoding {content_encoding!r:.40} is unknown; send gzip")
    if len(body) > MAX_DOCUMENT:
        raise BadDocument(f"the document is longer than {MAX_DOCUMENT} bytes")
    try:
        document = json.loads(body, parse_constant=_unknown)
    except (ValueError, RecursionError) as error:
        raise BadDocument(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadDocument("the document must be a JSON object")
    return document


def _unknown(_: str) -> None:
    """NaN and infinities are no JSON, and no database takes them as such."""


def _gunzip(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, MAX_DOCUMENT + 1)
    except zlib.error as error:
        raise BadDocument(f"the body is not gzip: {error}") from None
    if len(unpacked) <= MAX_DOCUMENT and not unpacker.eof:
        raise BadDocument("the gzip body is cut short")
    return unpacked
