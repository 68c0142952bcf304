"""Reads the part of a portal's reply that is about models; odd parts are logged and passed over."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusters.agent.protocol import ServingVerb
from clusters.agent.runtimes.base import ServingSpec
from clusters.agent.serving_records import Wanted
from clusters.agent.workspace import UnsafeName, check_part

log = logging.getLogger(__name__)

WANTED = {
    ServingVerb.SERVE: Wanted.SERVE,
    ServingVerb.STOP: Wanted.STOP,
    ServingVerb.REMOVE: Wanted.REMOVE,
}
PURPOSES = ("serve", "contract")
LARGEST = 2**31


@dataclass(frozen=True)
class Instruction:
    """`wanted` None: go on as it is."""

    replica: str
    wanted: Wanted | None
    generation: int | None = None
    spec: Mapping[str, Any] | None = None
    traffic: tuple[int, float | None] | None = None
    why: str = ""


def read_instructions(told: Any) -> list[Instruction]:
    found = []
    for entry in told if isinstance(told, list) else ():
        try:
            found.append(_read(entry))
        except (KeyError, TypeError, ValueError, AttributeError, UnsafeName) as error:
            log.warning("an instruction for a model is passed over: %r in %.200r", error, entry)
    return found


def _read(entry: Mapping[str, Any]) -> Instruction:
    verb = ServingVerb(entry["verb"])
    replica = check_part(entry["replica"])
    generation, spec = entry.get("generation"), None
    if generation is not None:
        generation = _positive(generation)
    if verb is ServingVerb.SERVE:
        generation, spec = _positive(entry["generation"]), entry["spec"]
        if not isinstance(spec, dict) or spec.get("replica") != replica:
            raise ValueError("the spec is of another replica")
    return Instruction(
        replica,
        WANTED.get(verb),
        generation,
        spec,
        _traffic(entry.get("traffic")),
        str(entry.get("why") or "")[:500],
    )


def read_spec(document: Mapping[str, Any]) -> ServingSpec:
    """Return what is to be served. Raises ValueError with words for people."""
    try:
        spec = ServingSpec.from_json(document)
        check_part(spec.name)
        times = (spec.startup_s, spec.ping_s, spec.ping_timeout_s, spec.stop_s)
        if not all(isinstance(n, (int, float)) and 0 < n < LARGEST for n in times):
            raise ValueError("its times are no positive numbers")
        for number in (spec.cores, spec.memory_mib, spec.failures, spec.give_up_after):
            _positive(number)
        if spec.purpose not in PURPOSES:
            raise ValueError(f"its purpose {spec.purpose!r:.40} is unknown")
        if spec.files is not None:
            check_part(spec.files["name"])
            check_part(spec.files["sha256"])
            _positive(spec.files["size"])
        if spec.check is not None:
            str(spec.check["content_type"]), str(spec.check["body"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        words = f"{type(error).__name__}: {error}"
        raise ValueError(f"its description cannot be understood by this agent: {words}") from None
    return spec


def _traffic(told: Any) -> tuple[int, float | None] | None:
    if not isinstance(told, Mapping):
        return None
    in_flight, answered = told.get("in_flight"), told.get("answered_s")
    known = isinstance(answered, (int, float)) and answered >= 0
    return (
        in_flight if isinstance(in_flight, int) and in_flight > 0 else 0,
        float(answered) if known else None,
    )


def _positive(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < LARGEST:
        raise ValueError("a number is not positive")
    return value
