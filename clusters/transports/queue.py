"""The carrier `queue`: nodes of the lab ask through a broker, and are woken through it.

Messages are signed both ways (clusters/node/messages.py). One that is not newer than what its key
sent before is refused, so whatever a broker repeats, reorders or keeps for later changes nothing.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

import redis
from celery import current_app, shared_task
from django.db.models import F, Q
from django.utils import timezone
from kombu import Queue
from kombu.exceptions import OperationalError

from clusters import keys, rows
from clusters.agent.protocol import BadDocument
from clusters.exchange import Answer, handle_known
from clusters.keys import KeyRefused
from clusters.models import ApiKey, Cluster
from clusters.node.messages import BadMessage, Kind, Message, key_named, pack, unpack
from clusters.node.queues import ANSWER, LIVES_S, TAKE, node_queue
from clusters.transports.answering import problem, refusal, storable, with_connection
from labportal.common.errors import DomainError, InvalidInput, WrongMoment
from labportal.common.metrics import EXCHANGES
from labportal.common.sealing import SealBroken, unseal
from labportal.common.wake import redis_client

log = logging.getLogger(__name__)

WINDOW_MS = 120_000  # how far a message's time may be from the portal's
TASK_S = 60
WOKEN_S = 10  # a wake that was lost is missed for so long at most; then nodes ask by themselves


class Stale(DomainError):
    """`portal_ms` and `last_ms` tell the node how to stamp what it sends next."""

    status = 409
    title = "This message is not newer than one that was taken"
    default_code = "stale"

    def __init__(self, *, portal_ms: int, last_ms: int) -> None:
        super().__init__("Send it again with the time of now.")
        self.portal_ms, self.last_ms = portal_ms, last_ms


@shared_task(name=ANSWER, acks_late=True, time_limit=TASK_S)
def answer_node(envelope: Any) -> None:
    """Answer what a node asks. What is signed by no key of ours gets no answer at all."""
    message = answer(envelope)
    if message is not None:
        _send(*message)


def answer(envelope: Any) -> tuple[Queue, dict[str, Any]] | None:
    """Return (the queue of the process that asks, the signed answer), None for what is forged."""
    try:
        key, secret = _key_of(key_named(envelope))
        asked = unpack(envelope, secret)
    except (BadMessage, KeyRefused, SealBroken) as error:
        log.warning("a message from the broker is passed over: %s", error)
        return None
    except BadDocument as error:
        log.warning("a signed message cannot be read: %s", error)
        return None
    kind, document = _answered(key, asked)
    EXCHANGES.labels("queue", str(document.get("status", 200))).inc()
    told = Message(kind, asked.node, key.prefix, asked.id, _now_ms(), document)
    return node_queue(asked.node, asked.reply_to), pack(told, secret)


def _key_of(prefix: str) -> tuple[ApiKey, bytes]:
    """Raises KeyRefused for a key that signs nothing, SealBroken."""
    key = with_connection(partial(rows.key_with_cluster, prefix[:12], lock=False))
    if key is None or not key.sealed_signing_key:
        raise KeyRefused("No key of the carrier “queue” is named so.")
    return key, bytes.fromhex(unseal(key.sealed_signing_key))


def _answered(key: ApiKey, asked: Message) -> tuple[Kind, dict[str, Any]]:
    try:
        _check(key, asked)
        _forget_wake(key.cluster_id)
        _take_once(key, asked.at_ms)
        document = storable(asked.document)
        return Kind.REPLY, with_connection(_exchange, key, document).document
    except Stale as stale:
        return Kind.PROBLEM, {
            **problem(stale),
            "now_ms": stale.portal_ms,
            "last_ms": stale.last_ms,
        }
    except Exception as error:
        return Kind.PROBLEM, problem(refusal(error))


def _check(key: ApiKey, asked: Message) -> None:
    """Raises KeyRefused, InvalidInput and WrongMoment."""
    with_connection(keys.use, key)
    cluster = key.cluster
    if asked.kind is not Kind.REQUEST:
        raise InvalidInput("Only requests are answered.")
    if cluster.carrier != Cluster.Carrier.QUEUE:
        raise WrongMoment(
            f"{cluster.name} is reached by {cluster.get_carrier_display()} now; its page says how.",
            code="other-carrier",
        )
    if asked.node != cluster.name:
        raise WrongMoment(
            f"This key belongs to {cluster.name}: start the node with --queue {cluster.name}.",
            code="other-node",
        )


def _take_once(key: ApiKey, at_ms: int) -> None:
    """Note that a message was taken. Raises Stale for one that is not newer than the last, or is
    far from now.
    """
    moment = _now_ms()
    newer = Q(last_signed_ms=None) | Q(last_signed_ms__lt=at_ms) | Q(last_signed_ms__gt=_latest())
    mark = partial(ApiKey.objects.filter(newer, pk=key.pk).update, last_signed_ms=at_ms)
    taken = abs(moment - at_ms) <= WINDOW_MS and with_connection(mark)
    if not taken:
        last = ApiKey.objects.values_list("last_signed_ms", flat=True).get(pk=key.pk)
        raise Stale(portal_ms=moment, last_ms=min(last or 0, _latest()))


def _latest() -> int:
    """A stamp beyond this one was taken while the portal's own clock was wrong."""
    return _now_ms() + WINDOW_MS


def _exchange(key: ApiKey, document: Mapping[str, Any]) -> Answer:
    return handle_known(key.cluster_id, document)


def wake_node(cluster_id: int) -> None:
    """Tell a node that something is wanted; once for many callers until it asks. A lost broker is
    no error: nodes ask by themselves.
    """
    try:
        if not redis_client().set(_woken(cluster_id), 1, nx=True, ex=WOKEN_S):
            return
    except redis.RedisError as error:
        log.warning("Redis does not answer, a node is woken once more: %s", error)
    key = (
        ApiKey.objects.filter(cluster=cluster_id, revoked_at=None)
        .exclude(sealed_signing_key="")
        .select_related("cluster")
        .order_by(F("last_signed_ms").desc(nulls_last=True))
        .first()
    )
    if key is None:
        return
    try:
        secret = bytes.fromhex(unseal(key.sealed_signing_key))
        name = key.cluster.name
        message = Message(Kind.WAKE, name, key.prefix, uuid.uuid4().hex, _now_ms(), {})
        _send(node_queue(name), pack(message, secret))
    except (OperationalError, OSError) as error:
        log.warning("the broker does not answer, a node is not woken: %s", error)
    except SealBroken as error:
        log.warning("node %s cannot be woken: %s", key.cluster.name, error)


def _send(queue: Queue, envelope: Mapping[str, Any]) -> None:
    """Raises OperationalError where the broker is not there."""
    current_app.send_task(
        TAKE,
        args=[envelope],
        queue=queue,
        expiration=LIVES_S,
        argsrepr="(…)",
        kwargsrepr="",
    )


def _forget_wake(cluster_id: int) -> None:
    """From here on a wake is wanted anew: what is committed later, this exchange may not see."""
    try:
        redis_client().delete(_woken(cluster_id))
    except redis.RedisError as error:
        log.warning("Redis does not answer: %s", error)


def _woken(cluster_id: int) -> str:
    return f"labportal:woken:{cluster_id}"


def _now_ms() -> int:
    return int(timezone.now().timestamp() * 1000)
