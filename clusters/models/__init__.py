"""Where calculations and models run, and what the agents tell of it.

Services of this app write these rows.
"""

from clusters.models.aws import AwsAccess, AwsExecution
from clusters.models.cluster import HELD_AFTER, SILENT_AFTER, ApiKey, Cluster
from clusters.models.logs import LogLine
from clusters.models.metrics import Metrics, MetricsMark, MetricsSummary
from clusters.models.purge import Purge
from clusters.models.sharing import Licence, Usage
from clusters.models.ssh import SshAccess, SshSession

__all__ = [
    "HELD_AFTER",
    "SILENT_AFTER",
    "ApiKey",
    "AwsAccess",
    "AwsExecution",
    "Cluster",
    "Licence",
    "LogLine",
    "Metrics",
    "MetricsMark",
    "MetricsSummary",
    "Purge",
    "SshAccess",
    "SshSession",
    "Usage",
]
