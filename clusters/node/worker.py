"""The Celery worker of a node: one thread that takes from the node's queues, and publishing.

The agent never waits for it: while the broker is away both go on by themselves, and meet again.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from celery import Celery, signals
from celery.worker import state
from kombu.exceptions import OperationalError

from clusters.node.acknowledging import go_on_after_failures
from clusters.node.queues import ANSWER, EXCHANGES, LIVES_S, TAKE, node_queue

log = logging.getLogger(__name__)

CONNECT_S = 3
VISIBILITY_S = 120  # an answer takes milliseconds
AGAIN_S, LONGEST_AGAIN_S = 2.0, 60.0  # before a worker that ended by itself is started again
STOP_S = 2.0
LOOK_S = 1.0  # how often a waiting worker looks whether it shall stop
LOST = (OperationalError, ConnectionError, TimeoutError, OSError)


def make_app(broker: str, node: str, process: str) -> Celery:
    """Return a Celery application that knows this node's queues alone, and no Django."""
    go_on_after_failures()
    app = Celery("labportal-node", broker=broker, fixups=[], set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_queues=[node_queue(node), node_queue(node, process)],
        task_create_missing_queues=True,
        worker_prefetch_multiplier=4,
        worker_hijack_root_logger=False,
        # Whoever reaches the broker could stop or reconfigure a worker that listens to this.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=CONNECT_S,
        broker_transport_options=_options(broker, node, process),
        enable_utc=True,
    )
    return app


def _options(broker: str, node: str, process: str) -> dict[str, Any]:
    if not urlsplit(broker).scheme.startswith("redis"):
        return {"confirm_publish": True}
    # Kombu gives back what any consumer has held beyond its *own* time-out: with the portal's names
    # this node would hand out the portal's long tasks twice.
    mark = f"labportal.node.{node}.{process}"
    return {
        "visibility_timeout": VISIBILITY_S,
        "unacked_key": f"{mark}.unacked",
        "unacked_index_key": f"{mark}.unacked_index",
        "unacked_mutex_key": f"{mark}.unacked_mutex",
        "socket_connect_timeout": CONNECT_S,
        "socket_timeout": 10,
        "socket_keepalive": True,
        "health_check_interval": 15,
    }


class NodeWorker:
    """`deliver` gets every message, in the worker's thread."""

    def __init__(
        self, broker: str, node: str, process: str, deliver: Callable[[Any], None]
    ) -> None:
        self.app = make_app(broker, node, process)
        self.node = node
        self._stopping = threading.Event()
        signals.worker_ready.connect(_keep_looking)
        self._thread = threading.Thread(target=self._run, name="celery", daemon=True)

        @self.app.task(name=TAKE, shared=False, ignore_result=True, acks_late=True)
        def take(envelope: Any) -> None:
            deliver(envelope)

    def start(self) -> None:
        self._thread.start()

    def publish(self, envelope: Mapping[str, Any]) -> None:
        """Send a request to the portal. Raises OSError where the broker is not there."""
        try:
            self.app.send_task(
                ANSWER,
                args=[envelope],
                queue=EXCHANGES,
                expiration=LIVES_S,
                argsrepr="(…)",
                kwargsrepr="",
                retry=True,
                retry_policy={"max_retries": 1, "interval_start": 0, "interval_max": 0.2},
            )
        except LOST as error:
            raise OSError(str(error) or type(error).__name__) from None

    def check(self) -> None:
        """See whether the broker lets this node in. Raises OSError."""
        with self.app.connection_for_write() as connection:
            try:
                connection.ensure_connection(max_retries=1, timeout=CONNECT_S)
                connection.default_channel.close()
            except Exception as error:
                raise OSError(str(error) or type(error).__name__) from None

    def stop(self) -> None:
        """Take nothing more; what was taken and not acknowledged is delivered again."""
        self._stopping.set()
        state.should_stop = 0
        self._thread.join(STOP_S)

    def _run(self) -> None:
        self.app.set_current()  # of this thread: there Celery looks for the task
        pause = AGAIN_S
        while not self._stopping.is_set():
            state.should_stop, began = None, time.monotonic()
            try:
                self._work()
            except (Exception, SystemExit) as error:
                if not self._stopping.is_set():
                    log.error("the Celery worker ended and is started again: %s", error)
            lasted = time.monotonic() - began > LONGEST_AGAIN_S
            pause = AGAIN_S if lasted else min(2 * pause, LONGEST_AGAIN_S)
            self._stopping.wait(pause)

    def _work(self) -> None:
        worker = self.app.WorkController(
            hostname=f"node.{self.node}@{socket.gethostname()}",
            pool="solo",
            concurrency=1,
            loglevel="WARNING",
            without_mingle=True,
            without_gossip=True,
            without_heartbeat=True,
        )
        worker.start()


def _keep_looking(sender: Any, **_: Any) -> None:
    """A worker that waits for messages alone would not notice that it is to stop."""
    hub = getattr(sender, "hub", None)
    if hub is not None:
        hub.call_repeatedly(LOOK_S, lambda: None)
