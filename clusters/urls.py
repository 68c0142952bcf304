"""The addresses of the pages of clusters and logs, and of the agent file, included at the root."""

from django.urls import path

from clusters import agent_download
from clusters.agent.protocol import DOWNLOAD_PATH
from clusters.views import agent, aws, clusters, logs, metrics, operation, queue, ssh, storage

AGENT_FILE = DOWNLOAD_PATH.removeprefix("/")

urlpatterns = [
    path(AGENT_FILE, agent_download.download, name="agent-file"),
    path(f"{AGENT_FILE}.sha256", agent_download.checksum, name="agent-checksum"),
    path("agent/node/<str:name>", agent_download.wheel, name="node-wheel"),
    path("clusters/", clusters.cluster_list, name="cluster-list"),
    path("clusters/new/", clusters.cluster_register, name="cluster-register"),
    path("clusters/<str:name>/", clusters.cluster_detail, name="cluster-detail"),
    path("clusters/<str:name>/health/", clusters.cluster_health, name="cluster-health"),
    path("clusters/<str:name>/card/", clusters.cluster_card, name="cluster-card"),
    path(
        "clusters/<str:name>/metrics/<slug:chart>.json",
        metrics.cluster_metrics,
        name="cluster-metrics",
    ),
    path("clusters/<str:name>/edit/", clusters.cluster_edit, name="cluster-edit"),
    path("clusters/<str:name>/drain/", operation.cluster_drain, name="cluster-drain"),
    path("clusters/<str:name>/disable/", operation.cluster_disable, name="cluster-disable"),
    path("clusters/<str:name>/enable/", operation.cluster_enable, name="cluster-enable"),
    path("clusters/<str:name>/release/", operation.cluster_release, name="cluster-release"),
    path(
        "clusters/<str:name>/update-agent/",
        operation.cluster_update_agent,
        name="cluster-update-agent",
    ),
    path("clusters/<str:name>/delete/", clusters.cluster_delete, name="cluster-delete"),
    path("clusters/<str:name>/agent/", agent.cluster_agent, name="cluster-agent"),
    path("clusters/<str:name>/keys/", agent.key_issue, name="cluster-key-issue"),
    path(
        "clusters/<str:name>/keys/<slug:prefix>/revoke/",
        agent.key_revoke,
        name="cluster-key-revoke",
    ),
    path("clusters/<str:name>/access/", ssh.ssh_edit, name="cluster-ssh-edit"),
    path("clusters/<str:name>/access/key/", ssh.ssh_key_make, name="cluster-ssh-key-make"),
    path("clusters/<str:name>/access/key/enter/", ssh.ssh_key_enter, name="cluster-ssh-key-enter"),
    path("clusters/<str:name>/access/scan/", ssh.ssh_scan, name="cluster-ssh-scan"),
    path("clusters/<str:name>/access/confirm/", ssh.ssh_confirm, name="cluster-ssh-confirm"),
    path("clusters/<str:name>/access/test/", ssh.ssh_test, name="cluster-ssh-test"),
    path("clusters/<str:name>/access/resume/", ssh.ssh_resume, name="cluster-ssh-resume"),
    path("clusters/<str:name>/aws/", aws.aws_edit, name="cluster-aws-edit"),
    path("clusters/<str:name>/aws/test/", aws.aws_test, name="cluster-aws-test"),
    path("clusters/<str:name>/aws/resume/", aws.aws_resume, name="cluster-aws-resume"),
    path(
        "clusters/<str:name>/orphans/<int:orphan_id>/adopt/",
        agent.orphan_adopt,
        name="cluster-orphan-adopt",
    ),
    path(
        "clusters/runs/<uuid:run>/metrics/<slug:chart>.json",
        metrics.run_metrics,
        name="run-metrics",
    ),
    path("fair-share/", queue.fair_share, name="fair-share"),
    path("fair-share/projects/<slug:slug>/", queue.project_shares, name="project-shares"),
    path("licences/", queue.licence_list, name="licence-list"),
    path("licences/<int:licence_id>/", queue.licence_change, name="licence-change"),
    path("licences/<int:licence_id>/delete/", queue.licence_delete, name="licence-delete"),
    path("storage/", storage.storage, name="storage"),
    path("storage/calculations/<int:pk>/purge/", storage.purge, name="calculation-purge"),
    path("logs/", logs.log_list, name="log-list"),
    path("logs/lines/", logs.log_lines, name="log-lines"),
    path("logs/delete/", logs.log_delete, name="log-delete"),
    path("logs/<int:line>/", logs.log_detail, name="log-detail"),
    path("logs/runs/<uuid:run>/", logs.run_log, name="run-log"),
    path("logs/runs/<uuid:run>/download/", logs.run_log_download, name="run-log-download"),
]
