"""Reads a portal's reply into what has to be remembered; odd parts are logged and passed over.

Nothing that the portal sends may end the agent, and no name from it reaches the disk unchecked.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from clusters.agent.journal import TakeIn
from clusters.agent.protocol import DEFAULT_SETTINGS, TERMINAL, AgentState, Verb
from clusters.agent.workspace import UnsafeName, check_part

log = logging.getLogger(__name__)

SMALLEST_SETTINGS = {"exchange_s": 1, "metrics_s": 1, "log_bytes_per_minute": 1000}


def read_reply(document: Mapping[str, Any], request: Mapping[str, Any]) -> TakeIn:
    """Return the content of the reply to a request."""
    reported_purged = [entry["run"] for entry in request.get("purged", ())]
    reply = TakeIn(
        desired=_number(document.get("desired")),
        acknowledged=_number(document.get("acknowledged")),
        settings=_settings(document.get("settings")),
        told=frozenset(
            (entry["run"], entry["attempt"])
            for entry in request.get("runs", ())
            if AgentState(entry["state"]) in TERMINAL
        ),
    )
    entries = document.get("runs")
    if not isinstance(entries, list):
        entries = []
    for entry in entries:
        try:
            _read_entry(entry, reply)
        except (KeyError, TypeError, ValueError, AttributeError, UnsafeName) as error:
            log.warning("an instruction of the portal is passed over: %r in %.200r", error, entry)
    reply.purge_done = [run for run in reported_purged if run not in reply.purge]
    return reply


def _read_entry(entry: Mapping[str, Any], reply: TakeIn) -> None:
    verb = Verb(entry["verb"])
    run = check_part(entry["run"])
    if verb is Verb.PURGE:
        keep = [str(pattern) for pattern in entry.get("keep") or ()]
        reply.purge[run] = keep, _number(entry.get("attempt"))
        return
    attempt = _attempt(entry["attempt"])
    why = str(entry.get("why") or "")[:500]
    if verb is Verb.EXECUTE:
        reply.execute.append(_spec(entry["spec"], run, attempt))
    elif verb is Verb.CANCEL:
        reply.cancel[run, attempt] = why
    elif verb is Verb.ABANDON:
        reply.abandon[run, attempt] = why
    elif verb is Verb.CLOSE:
        reply.close.append((run, attempt))


def _spec(spec: Mapping[str, Any], run: str, attempt: int) -> dict[str, Any]:
    if spec["run"] != run or spec["attempt"] != attempt:
        raise ValueError("the spec is of another run or attempt")
    if not isinstance(spec["software"], str) or not isinstance(spec["parameters"], dict):
        raise ValueError("the spec names no software or no parameters")
    if not isinstance(spec.get("resources", {}), dict):
        raise ValueError("the spec's resources are no object")
    carry = spec.get("carry")
    if carry:
        check_part(carry["run"])
    return dict(spec)


def _attempt(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
        raise ValueError("the attempt is no positive number")
    return value


def _number(value: Any) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 2**62 else 0


def _settings(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    return {
        name: max(_number(value[name]), SMALLEST_SETTINGS[name])
        for name in DEFAULT_SETTINGS
        if _number(value.get(name))
    }
