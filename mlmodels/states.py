"""The states of models, replicas and asynchronous calls.

What a person wants of a model is `Desired`; what is, agents say of each replica, and the model's
own state follows from that (services/standing.py is its only writer).
"""

from __future__ import annotations

from django.db.models import TextChoices


class Desired(TextChoices):
    RUNNING = "running", "Running"
    STOPPED = "stopped", "Stopped"


class ModelState(TextChoices):
    """Derived from what is wanted and from the replicas of the version that serves."""

    STOPPED = "stopped", "Stopped"
    WAITING = "waiting", "Waiting for a node"
    STARTING = "starting", "Starting"
    READY = "ready", "Ready"
    DEGRADED = "degraded", "Degraded"  # some replicas answer, others do not
    UPDATING = "updating", "Updating"  # a new version comes up beside the one that answers
    STOPPING = "stopping", "Stopping"
    GIVEN_UP = "given_up", "Given up"


class ReplicaWanted(TextChoices):
    SERVE = "serve", "Serve"
    STOP = "stop", "Stop"
    REMOVE = "remove", "Remove"


class Purpose(TextChoices):
    SERVE = "serve", "Serves"
    CONTRACT = "contract", "Contract test"


class AsyncState(TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


ASYNC_OPEN = frozenset({AsyncState.QUEUED, AsyncState.RUNNING})
ANSWERING = frozenset({ModelState.READY, ModelState.DEGRADED, ModelState.UPDATING})
