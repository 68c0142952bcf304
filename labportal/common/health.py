"""What operators ask: /healthz (alive), /readyz (may take requests), /metrics (Prometheus).

They answer without a session; /metrics only to this machine, or to who sends METRICS_TOKEN as a
bearer token.
"""

import hmac
import ipaddress
from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from labportal.common.errors import NotAllowed
from labportal.common.metrics import register_gauge
from labportal.common.problems import problem_response
from labportal.common.wake import redis_client

FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when every part is there, else 503; the body says which part is not."""
    parts = {name: _state(look) for name, look in CHECKS.items()}
    ready = all(state == "ok" for state in parts.values())
    response = JsonResponse({"ready": ready, "parts": parts}, status=200 if ready else 503)
    response._has_been_logged = True  # a probe asks each few seconds; its answer says it all
    return response


def metrics(request: HttpRequest) -> HttpResponse:
    if not _may_scrape(request):
        return problem_response(NotAllowed("Metrics are shown to this machine or with a token."))
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def _may_scrape(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_TOKEN:
        return scheme.lower() == "bearer" and hmac.compare_digest(
            token.strip().encode(), settings.METRICS_TOKEN.encode()
        )
    # Behind a proxy of this machine everybody looks local: none that was forwarded counts so.
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _state(look: Callable[[], str]) -> str:
    try:
        return look()
    except (DatabaseError, redis.RedisError, OSError):
        return "does not answer"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _redis() -> str:
    redis_client().ping()
    return "ok"


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(plan)} not applied" if plan else "ok"


CHECKS: dict[str, Callable[[], str]] = {
    "database": _database,
    "redis": _redis,
    "migrations": _migrations,
}


def _tasks_waiting() -> float:
    queues = (settings.CELERY_TASK_DEFAULT_QUEUE, settings.CARRIERS_QUEUE)
    return float(sum(redis_client().llen(queue) for queue in queues))


register_gauge("labportal_tasks_waiting", "Celery tasks that no worker took yet", _tasks_waiting)
