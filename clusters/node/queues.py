"""The queues between portal and nodes, and the names of the tasks in them; both sides declare them
alike.

Needs kombu, which is a part of Celery, and nothing else.
"""

from __future__ import annotations

from kombu import Queue

EXCHANGES = "exchange"  # the portal's: what nodes ask
ANSWER = "clusters.transports.queue.answer_node"  # its task
TAKE = "labportal.node.take"  # the node's task: a reply, a problem or a wake
PREFIX = "node."

UNUSED_S = 86_400  # a queue that no node takes from is given up by RabbitMQ
MOST_WAITING = 1000
LIVES_S = 60  # a message that nobody took by then is dropped by RabbitMQ

BROKERS = ("redis", "rediss", "amqp", "amqps")


def node_queue(node: str, process: str = "") -> Queue:
    """Return the queue of a node, `node.<name>`, or that of the answers to one of its processes."""
    name = f"{PREFIX}{node}.{process}" if process else f"{PREFIX}{node}"
    return Queue(
        name,
        routing_key=name,
        durable=True,
        expires=UNUSED_S,
        max_length=MOST_WAITING,
    )
