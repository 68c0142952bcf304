"""Routes of clusters, logs and agents under /api/v1/; a slash at the end is optional for people's.

The agents' own are exactly as in clusters/agent/protocol.py. The exchange itself is not here: it is
served natively by ASGI (clusters/transports/https.py).
"""

from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from clusters.api import aws, ssh
from clusters.api.agent_files import RetrievedFileView, StagedFileView
from clusters.api.clusters import ClusterViewSet, KeyRevokeView, KeysView
from clusters.api.logs import LineView, LogCountView, LogsView
from clusters.api.orphans import OrphanViewSet
from clusters.api.queue import FairShareView, LicenceViewSet, ProjectSharesView
from clusters.api.run_metrics import RunMetricsView
from clusters.api.storage import PurgeView, StorageView

router = SimpleRouter()
router.trailing_slash = "/?"
router.register("clusters", ClusterViewSet, basename="api-cluster")
router.register("licences", LicenceViewSet, basename="api-licence")
router.register("orphans", OrphanViewSet, basename="api-orphan")

KEYS = rf"^clusters/(?P<name>{ClusterViewSet.lookup_value_regex})/keys"
ACCESS = KEYS.removesuffix("keys") + "access"
AWS = KEYS.removesuffix("keys") + "aws"

urlpatterns = [
    path(
        "agent/runs/<uuid:run>/files/<str:name>",
        StagedFileView.as_view(),
        name="api-agent-staged-file",
    ),
    path(
        "agent/runs/<uuid:run>/<int:attempt>/files/<str:name>",
        RetrievedFileView.as_view(),
        name="api-agent-retrieved-file",
    ),
    re_path(rf"{KEYS}/?$", KeysView.as_view(), name="api-cluster-keys"),
    re_path(
        rf"{KEYS}/(?P<prefix>[0-9a-f]{{1,12}})/revoke/?$",
        KeyRevokeView.as_view(),
        name="api-cluster-key-revoke",
    ),
    re_path(r"^fair-share/?$", FairShareView.as_view(), name="api-fair-share"),
    re_path(
        r"^fair-share/projects/(?P<slug>[-a-zA-Z0-9_]{1,140})/?$",
        ProjectSharesView.as_view(),
        name="api-project-shares",
    ),
    re_path(rf"{ACCESS}/?$", ssh.AccessView.as_view(), name="api-cluster-ssh"),
    re_path(rf"{ACCESS}/key/?$", ssh.AccessKeyView.as_view(), name="api-cluster-ssh-key"),
    re_path(rf"{ACCESS}/host-keys/?$", ssh.HostKeysView.as_view(), name="api-cluster-ssh-scan"),
    re_path(rf"{ACCESS}/confirm/?$", ssh.ConfirmView.as_view(), name="api-cluster-ssh-confirm"),
    re_path(rf"{ACCESS}/test/?$", ssh.TestView.as_view(), name="api-cluster-ssh-test"),
    re_path(rf"{ACCESS}/resume/?$", ssh.ResumeView.as_view(), name="api-cluster-ssh-resume"),
    re_path(rf"{AWS}/?$", aws.AwsAccessView.as_view(), name="api-cluster-aws"),
    re_path(rf"{AWS}/test/?$", aws.AwsTestView.as_view(), name="api-cluster-aws-test"),
    re_path(rf"{AWS}/resume/?$", aws.AwsResumeView.as_view(), name="api-cluster-aws-resume"),
    re_path(
        r"^runs/(?P<pk>[0-9a-f-]{36})/cluster-metrics/?$",
        RunMetricsView.as_view(),
        name="api-run-cluster-metrics",
    ),
    re_path(r"^storage/?$", StorageView.as_view(), name="api-storage"),
    re_path(
        r"^calculations/(?P<pk>\d{1,18})/raw-files/?$",
        PurgeView.as_view(),
        name="api-calculation-raw-files",
    ),
    re_path(r"^logs/?$", LogsView.as_view(), name="api-logs"),
    re_path(r"^logs/count/?$", LogCountView.as_view(), name="api-logs-count"),
    re_path(r"^logs/(?P<line>\d{1,18})/?$", LineView.as_view(), name="api-log-line"),
    path("", include(router.urls)),
]
