"""Takes from Redis go on after an acknowledgement that failed.

Kombu removes a message from its books only once Redis has confirmed. Where Redis dies in between
and is back before the consumer notices, the message counts as held for ever, and a worker whose
prefetch is full with such messages takes nothing more. Here the books are closed all the same;
what Redis still has comes once more after its visibility time-out, which every task bears.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis, virtual


class QoS(redis.QoS):
    def ack(self, delivery_tag: Any) -> None:
        try:
            super().ack(delivery_tag)
        except Exception:
            virtual.QoS.ack(self, delivery_tag)
            raise


def go_on_after_failures() -> None:
    """Have every channel to Redis of this process keep its books so. Calling it again is fine."""
    redis.Channel.QoS = QoS
