"""What the browser tests look at of models: one in each state, with versions, replicas, tests, log
lines and calls. Written as agents would have told of them; no server runs.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from clusters.models import Cluster, LogLine
from labportal.accounts.models import User
from labportal.common.clock import now
from mlmodels.models import (
    AsyncInvocation,
    ContractCheck,
    Invocation,
    ModelVersion,
    Prediction,
    RegisteredModel,
    Replica,
)
from mlmodels.services import events
from mlmodels.states import AsyncState, Desired, ModelState
from tests.mlmodels import factories

INPUT = {
    "type": "object",
    "required": ["magnitudes"],
    "properties": {
        "magnitudes": {
            "title": "Magnitudes u, g, r, i, z",
            "type": "array",
            "items": {"type": "number"},
            "minItems": 5,
            "maxItems": 5,
        },
        "survey": {"title": "Survey", "enum": ["SDSS", "DES"], "default": "SDSS"},
    },
}
OUTPUT = {"type": "object", "properties": {"redshift": {"type": "number", "title": "Redshift"}}}
EXAMPLE = '{"magnitudes": [18.2, 17.4, 17.0, 16.8, 16.7], "survey": "SDSS"}'
CHECKS = (
    ("ping", "GET /ping answers 200 with an empty body within 2 s", True, "200 in 3 ms"),
    ("loading", "Answers 503 while it loads", True, ""),
    ("example", "Answers its example", True, "200, application/json, 41 bytes in 7 ms"),
    ("unsupported", "Refuses a type that it does not take", False, "answered 200 instead of 415"),
    ("sigterm", "Ends within 30 s of SIGTERM", True, "0.2 s"),
)
LOG = (
    ("INFO", "loading weights from /opt/ml/model/weights.safetensors"),
    ("INFO", "15 902 889 parameters in 0.41 s"),
    ("WARNING", "no GPU is visible: using 4 threads"),
    ("INFO", "serving on 0.0.0.0:8080"),
)
CRASH = (
    ("INFO", "loading weights"),
    ("ERROR", "Traceback (most recent call last):"),
    ("ERROR", '  File "/opt/program/serve", line 41, in load'),
    ("ERROR", "KeyError: 'decoder.weight'"),
)


def models(people: dict[str, User]) -> dict[str, Any]:
    """Make everything; return names and keys that stand in addresses."""
    ada = people["ada"]
    tesla, atlas = _site("tesla-1"), _site("atlas")
    redshift = _redshift(ada, people["max"], tesla, atlas)
    _gait(ada, tesla, atlas)
    _given_up(ada, atlas)
    _waiting(people["mia"])
    _stopped(ada)
    replica = Replica.objects.filter(version__model=redshift).order_by("created_at").first()
    return {
        "model": redshift.name,
        "replica": str(replica.pk),
        "version": 2,
        "prediction": _prediction(redshift, ada).pk,
        "call": str(_call(redshift, ada).pk),
    }


def _site(name: str) -> Cluster:
    """One that serves models and nothing else, heard until the last page is looked at."""
    capacity = {"slots": {"total": 0, "free": 0}, "software": {}, "serving": factories.SERVING}
    heard = now() + timedelta(hours=1)
    return Cluster.objects.create(name=name, capacity=capacity, last_exchange_at=heard)


def _model(by: User, name: str, state: ModelState, why: str = "", **fields: Any) -> RegisteredModel:
    model = factories.registered(by, name, description=fields.pop("description", ""))
    _change(model, state=state, why=why, **fields)
    return model


def _change(model: RegisteredModel, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(model, name, value)
    model.save(update_fields=list(fields))


def _version(model: RegisteredModel, **values: Any) -> ModelVersion:
    described = {"input_schema": INPUT, "output_schema": OUTPUT, "example": EXAMPLE}
    return factories.version(model, **{"image": f"lab/{model.name}:1", **described, **values})


def _redshift(ada: User, moderator: User, tesla: Cluster, atlas: Cluster) -> RegisteredModel:
    words = "Photometric redshifts of galaxies from five magnitudes and an image, after AstroMAE."
    model = _model(ada, "redshift", ModelState.READY, description=words, replicas_wanted=2)
    first = _version(model, note="trained on SDSS")
    second = _version(model, image="lab/redshift:2", memory_mib=4096, note="less bias above z = 1")
    _version(model, image="lab/redshift:3", approved=False, note="with u band dropped")
    passed = [{"name": n, "title": t, "ok": True, "detail": d} for n, t, _, d in CHECKS]
    broken = [{"name": n, "title": t, "ok": ok, "detail": d} for n, t, ok, d in CHECKS]
    moment = now()
    _check(first, ada, broken, moment - timedelta(days=3), why=CHECKS[3][1])
    _check(second, moderator, passed, moment - timedelta(hours=2))
    since = moment - timedelta(hours=5)
    _change(
        model,
        current=second,
        serving=second,
        previous=first,
        desired=Desired.RUNNING,
        since=since,
    )
    for site, cpu, memory in ((tesla, 142.0, 2310.0), (atlas, 61.0, 2288.0)):
        one = factories.replica(second, site, launch=2, restarts=1, started_at=since)
        one.since, one.answered_at, one.pinged_at = since, moment, moment
        one.report = {
            "runtime": "podman",
            "ping": {"ms": 3.2, "failed": 0},
            "check": {"ok": True},
            "usage": {"cpu_percent": cpu, "memory_mib": memory},
            "gpus": [0] if site is tesla else [],
        }
        one.save()
        _lines(one, 1, CRASH)
        _lines(one, 2, LOG)
    events.note(model, "ready", actor="portal", version=second)
    calls = [
        Invocation(
            model=model,
            version=second,
            user=ada,
            at=moment - timedelta(seconds=7 * i),
            ms=5 + i % 9,
            status=200 if i % 40 else 504,
        )
        for i in range(120)
    ]
    Invocation.objects.bulk_create(calls)
    return model


def _prediction(model: RegisteredModel, by: User) -> Prediction:
    return Prediction.objects.create(
        model=model,
        version=model.current,
        user=by,
        ms=6.5,
        input_type="application/json",
        input_text=EXAMPLE,
        output_type="application/json",
        output_text='{"redshift": 0.117, "density": [0.1, 0.4, 0.9, 0.5, 0.2, 0.1]}',
    )


def _call(model: RegisteredModel, by: User) -> AsyncInvocation:
    """One that waits, for as long as no worker looks for it."""
    call = AsyncInvocation.objects.create(
        model=model, user=by, content_type="application/json", due_at=now() + timedelta(days=1)
    )
    AsyncInvocation.objects.create(
        model=model,
        user=by,
        content_type="application/json",
        state=AsyncState.FAILED,
        why="It did not answer within 15 min.",
        started_at=now() - timedelta(minutes=15),
        ended_at=now(),
        told=True,
    )
    return call


def _check(
    version: ModelVersion, by: User, checks: list[dict[str, Any]], at: Any, why: str = ""
) -> None:
    passed = all(one["ok"] for one in checks)
    ended = at + timedelta(seconds=48)
    ContractCheck.objects.create(
        version=version, by=by, checks=checks, passed=passed, began_at=at, ended_at=ended, why=why
    )
    version.contract_passed_at = ended if passed else None
    version.save(update_fields=["contract_passed_at"])


def _gait(ada: User, tesla: Cluster, atlas: Cluster) -> None:
    why = "1 of 2 replicas answer; atlas: it ended with exit code 137"
    model = _model(ada, "gait", ModelState.DEGRADED, why, replicas_wanted=2)
    version = _version(model, image="", folder="/srv/models/gait", memory_mib=512)
    _change(model, current=version, serving=version, desired=Desired.RUNNING)
    factories.replica(version, tesla, answered_at=now() - timedelta(minutes=3), failed_calls=2)
    told = {
        "exit": {"code": 137, "signal": 9, "out_of_memory": True},
        "again_at": (now() + timedelta(seconds=40)).isoformat(),
        "tail": [text for _, text in CRASH],
    }
    factories.replica(
        version,
        atlas,
        "backing_off",
        restarts=3,
        why="it used more memory than it has",
        report=told,
    )


def _given_up(ada: User, atlas: Cluster) -> None:
    why = "atlas: it failed 6 times in a row: exit code 1"
    model = _model(ada, "segmentation", ModelState.GIVEN_UP, why, description="Nuclei in tissue.")
    version = _version(model)
    _change(model, current=version, desired=Desired.RUNNING)
    told = {"exit": {"code": 1}, "tail": [text for _, text in CRASH]}
    words = "it failed 6 times in a row"
    one = factories.replica(
        version, atlas, "given_up", launch=6, restarts=6, why=words, report=told
    )
    _lines(one, 6, CRASH)
    events.note(model, "given_up", actor="agent atlas", version=version, note=words)


def _waiting(mia: User) -> None:
    why = "no node has 4 GPUs free: tesla-1 has 2"
    model = _model(mia, "protein-folding", ModelState.WAITING, why)
    version = _version(model, gpus=4, memory_mib=65_536)
    _change(model, current=version, desired=Desired.RUNNING)


def _stopped(ada: User) -> None:
    _version(_model(ada, "echo", ModelState.STOPPED, description="Answers what it is asked."))


def _lines(replica: Replica, launch: int, lines: tuple[tuple[str, str], ...]) -> None:
    began = now() - timedelta(hours=5 - launch)
    LogLine.objects.bulk_create(
        LogLine(
            cluster=replica.cluster,
            replica=replica.pk,
            launch=launch,
            at=began + timedelta(seconds=second),
            service="model",
            level=level,
            text=text,
        )
        for second, (level, text) in enumerate(lines)
    )
