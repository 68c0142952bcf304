"""The portal's own figures for Prometheus; health.py shows them. Any app may count, none may read.

Labels come from fixed sets (routes, outcomes), never from what a caller sent.
"""

from collections.abc import Callable, Iterator

from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Counter(
    "labportal_requests_total", "Answered HTTP requests", ["method", "route", "status"]
)
LATENCY = Histogram(
    "labportal_request_seconds",
    "Seconds until a request was answered",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
EXCHANGES = Counter("labportal_exchanges_total", "Exchanges with agents", ["carrier", "outcome"])
MODEL_CALLS = Counter("labportal_model_calls_total", "Calls of models", ["outcome"])


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    REQUESTS.labels(method if method in METHODS else "other", route, status).inc()
    LATENCY.labels(route).observe(seconds)


class _Gauges(Collector):
    """Asks each registered function when somebody scrapes; one that fails is left out."""

    def __init__(self) -> None:
        self.sources: dict[str, tuple[str, Callable[[], float]]] = {}

    def collect(self) -> Iterator[Metric]:
        for name, (text, read) in self.sources.items():
            try:
                value = float(read())
            except Exception:  # noqa: S112 - a gauge without its source has no value
                continue
            yield GaugeMetricFamily(name, text, value=value)


_gauges = _Gauges()
REGISTRY.register(_gauges)


def register_gauge(name: str, text: str, read: Callable[[], float]) -> None:
    """Add a gauge that is read at each scrape; registering a name again replaces it."""
    _gauges.sources[name] = (text, read)
